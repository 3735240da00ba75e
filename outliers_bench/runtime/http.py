"""HTTP requests: addresses, redirects, pauses, and errors of requests and urllib3 in one line."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from outliers_bench.runtime.public_addresses import leads_inside

if TYPE_CHECKING:
    from requests import Response, Session

_HOST_LABEL = re.compile(r"[^\s.]{1,63}")  # label of a host name; an IPv6 address is a single one
_REDIRECTS = (301, 302, 303, 307, 308)
_MAX_REDIRECTS = 10
_MAX_PAUSE = 60.0  # seconds; upper limit of Retry-After


class HttpError(Exception):
    """A failed request; the message is the reason, in one line."""


class ConnectionLostError(HttpError):
    """A connection that failed or ended too early; another request may succeed."""

    def __init__(self, reason: str, *, pause: float = 0.0) -> None:
        super().__init__(reason)
        self.pause = pause  # seconds to wait, as the server requests


class LateResponseError(ConnectionLostError):
    """A server that has the request and does not respond in time."""


def send(
    session: Session,
    method: str,
    url: str,
    *,
    timeouts: tuple[float, float],
    **options: Any,  # noqa: ANN401
) -> Response:
    """Send one request; redirects are not followed, and the body of the response is not read.

    Parameters
    ----------
    timeouts : tuple of float
        Seconds to connect, and to wait for bytes.
    **options
        Headers, data and credentials; see `requests.Session.request`.

    Raises
    ------
    HttpError
        `ConnectionLostError` if there is no response; another one if a repetition does not help.
    """
    from requests import exceptions

    options |= {"timeout": timeouts, "allow_redirects": False, "stream": True}
    try:
        return session.request(method, url, **options)
    except exceptions.SSLError as error:
        raise HttpError(f"no secure connection ({root_cause(error)})") from None
    except exceptions.ReadTimeout as error:
        raise LateResponseError(root_cause(error)) from None
    except (exceptions.ConnectionError, exceptions.Timeout) as error:
        raise ConnectionLostError(root_cause(error)) from None
    except exceptions.RequestException as error:
        raise HttpError(root_cause(error)) from None


def request(
    session: Session,
    method: str,
    url: str,
    *,
    on_redirect: Callable[[str, int, str], None] = lambda *_: None,
    **options: Any,  # noqa: ANN401
) -> Response:
    """Send a request as `send` does, and follow redirects, though not from https to http.

    Parameters
    ----------
    on_redirect : callable
        Called with address, status and target of each redirect before it is followed.

    Raises
    ------
    HttpError
        As `send`, and if a target is no web address, or leads from https to http, or from a public
        address to one that is not.
    """
    # Otherwise, requests prepares for a redirect by reading the whole body, however long.
    session.get_redirect_target = lambda _: None  # type: ignore[assignment, method-assign]
    for _ in range(_MAX_REDIRECTS + 1):
        response = send(session, method, url, **options)
        target = _redirect_target(url, response.status_code, response.headers.get("Location"))
        if target is None:
            return response
        response.close()
        on_redirect(url, response.status_code, target)
        url = target
    raise HttpError(f"redirected more than {_MAX_REDIRECTS} times")


def _redirect_target(url: str, status: int, location: str | None) -> str | None:
    """Return the address that a response redirects to; None if it does not."""
    if status not in _REDIRECTS or not location:
        return None
    scheme = urlsplit(url).scheme
    try:
        target = urljoin(url, location)
    except ValueError:
        raise HttpError("redirected to an invalid web address, which is refused") from None
    is_downgrade = scheme == "https" and urlsplit(target).scheme != "https"
    if is_downgrade or url_error(target, allow_password=True):
        raise HttpError(f"redirected from {scheme} to {redact_url(target)}, which is refused")
    if leads_inside(url, target):
        raise HttpError(
            f"redirected to {redact_url(target)}, an address of this machine or its network, which "
            "is refused"
        )
    return target


def retry_after(value: str | None) -> float:
    """Return the seconds of a Retry-After header, at most 60; 0 without one, or for a date."""
    try:
        seconds = float(value or "")
    except ValueError:
        return 0.0
    return min(seconds, _MAX_PAUSE) if math.isfinite(seconds) else 0.0


def url_error(url: str, *, allow_password: bool = False) -> str | None:
    """Return the reason that a URL cannot be requested; None if it can."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        return f"is not a URL: {error}"
    if parts.scheme.lower() not in ("http", "https"):
        return "is not an http or https URL"
    if not host:
        return "has no host name"
    if not all(_HOST_LABEL.fullmatch(part) for part in host.removesuffix(".").split(".")):
        return "has an invalid host name"
    if not allow_password and (parts.username is not None or parts.password is not None):
        return "contains a user name or password"
    return None


def redact_url(url: str) -> str:
    """Return a URL without user name, password, query and fragment, for messages and tags."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    text = f"{parts.scheme}://{host}{parts.path}" if host else url[:100]
    return "".join(char for char in text if char.isprintable())


def root_cause(error: BaseException) -> str:
    """Return the message of the innermost error; libraries wrap it several times."""
    inner: BaseException = error
    while True:
        arguments = inner.args[:1]
        deeper = (getattr(inner, "reason", None), *arguments, inner.__cause__, inner.__context__)
        candidates = (each for each in deeper if isinstance(each, BaseException))
        found = next((each for each in candidates if each is not inner), None)
        if found is None:
            break
        inner = found
    if isinstance(inner, OSError) and inner.strerror:
        return inner.strerror.lower()
    message = " ".join(str(inner).split())
    return (message.rpartition(">: ")[2] or message or type(inner).__name__)[:150]
