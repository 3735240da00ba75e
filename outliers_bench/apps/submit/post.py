"""A POST request: the URL, redirects, retries, and the response or the reason of its absence."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from outliers_bench.errors import BenchError
from outliers_bench.runtime.http import (
    ConnectionLostError,
    DowngradeError,
    HttpError,
    LateResponseError,
    redact_url,
    redirect_target,
    retry_after,
    root_cause,
    send,
    url_error,
)

if TYPE_CHECKING:
    from requests import PreparedRequest, Response, Session

RETRY_STATUSES = (502, 503, 504)  # sent by a proxy when the request has not reached the server
_MAX_REDIRECTS = 5
_CONNECT_TIMEOUT = 10.0  # seconds
_MAX_RESPONSE_BYTES = 2**20
_CHUNK = 2**16


class ServerError(Exception):
    """A fault of the server, described in one line."""


@dataclass(frozen=True)
class ServerResponse:
    """A server's response; header names are in lower case."""

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes


def check_url(url: str) -> None:
    """Raise `BenchError` unless a URL is an http or https address without a password."""
    if reason := url_error(url, allow_password=True):
        raise BenchError(
            f"url={url}: not a web address: it {reason}; begin it with http:// or https://"
        )
    parts = urlsplit(url)
    if parts.username is not None or parts.password is not None:
        raise BenchError(
            f"url=: remove the name and password before @{parts.hostname}, because the URL is "
            "recorded; put the secret in the environment variable OUTLIERS_BENCH_TOKEN"
        )


def post(
    url: str,
    body: bytes,
    *,
    token: str | None,
    timeout: float,
    retries: int,
    report: Callable[[str], None],
    sleep: Callable[[float], None] = time.sleep,
) -> ServerResponse:
    """Send JSON, with retries only if a repeated submission cannot count twice.

    The request is repeated if the connection failed before any response, or a proxy responded
    with 502, 503 or 504; not after a timeout, since the server may be processing it. Redirects
    307 and 308, which preserve the method, are followed, except from https to http. The token is
    not sent to another host.

    Parameters
    ----------
    url : str
        An http or https address.
    body : bytes
        The JSON.
    token : str or None
        Token for the header `Authorization: Bearer`.
    timeout : float
        Seconds to wait for the response, and again to read it.
    retries : int
        Number of retries, after 1, 2, 4, ... seconds or longer if `Retry-After` says so.
    report : callable
        Called with a message for each retry and redirect.
    sleep : callable
        Called with the seconds to wait.

    Returns
    -------
    ServerResponse
        The response, whatever its status.

    Raises
    ------
    ServerError
        If there is no complete response.
    BenchError
        If a redirect cannot be followed.
    """
    from requests import Session

    with Session() as session:
        # Otherwise, requests prepares for a redirect by reading the whole body, however long.
        session.get_redirect_target = lambda _: None  # type: ignore[assignment, method-assign]
        for attempt in range(retries + 1):
            pause = 2.0**attempt
            try:
                response = _follow(session, url, body, token=token, timeout=timeout, report=report)
            except ConnectionLostError as error:
                if attempt == retries:
                    times = "once" if attempt == 0 else f"{attempt + 1} times"
                    raise ServerError(
                        f"{error}, tried {times}; is the URL correct, and the server running?"
                    ) from None
                reason = str(error)
            else:
                if response.status not in RETRY_STATUSES or attempt == retries:
                    return response
                pause = max(pause, retry_after(response.headers.get("retry-after")))
                reason = f"{redact_url(response.url)} responded with {response.status}"
            report(f"{reason}; trying again in {pause:.0f} s ({attempt + 1} of {retries})")
            sleep(pause)
    raise AssertionError("the last attempt returns or raises")


def _follow(
    session: Session,
    url: str,
    body: bytes,
    *,
    token: str | None,
    timeout: float,
    report: Callable[[str], None],
) -> ServerResponse:
    """Send JSON and follow redirects; `ConnectionLostError` if it can safely be repeated."""
    first = redact_url(url)
    for _ in range(_MAX_REDIRECTS):
        response, source = send_once(session, url, body, token, timeout), redact_url(url)
        try:
            target = redirect_target(url, response.status, response.headers.get("location"))
        except DowngradeError as error:
            raise BenchError(
                f"url={first}: {error}, because the submission would not be encrypted; "
                "to allow that, give that address as url="
            ) from None
        except HttpError as error:
            raise ServerError(f"{source}: {error}") from None
        if target is None:
            return response
        shown = redact_url(target)
        if response.status not in (307, 308):
            raise BenchError(
                f"url={first}: the server redirects to {shown} by {response.status}, which would "
                "turn the POST into a GET; if that is the URL of the competition, give it as url="
            )
        if session.should_strip_auth(url, target):  # type: ignore[no-untyped-call]
            token = None
        report(f"{source} redirects to {shown} ({response.status}): following")
        url = target
    raise ServerError(f"{first} redirects more than {_MAX_REDIRECTS} times")


def send_once(
    session: Session, url: str, body: bytes, token: str | None, timeout: float
) -> ServerResponse:
    """Send JSON once and return the response, whatever its status."""

    def authorize(request: PreparedRequest) -> PreparedRequest:
        # A callable even without a token, or requests would look for a password in ~/.netrc.
        if token is not None:
            request.headers["Authorization"] = f"Bearer {token}"
        return request

    address = redact_url(url)
    try:
        response = send(
            *(session, "POST", url),
            data=body,
            headers={"Content-Type": "application/json", "Accept": "application/json"},
            timeouts=(min(_CONNECT_TIMEOUT, timeout), timeout),
            auth=authorize,
        )
    except LateResponseError:
        raise ServerError(
            f"{address} has not responded within {timeout:g} s; it may have accepted the "
            "submission, so check there before sending it again, or wait longer with timeout="
        ) from None
    except ConnectionLostError as error:
        raise ConnectionLostError(f"{address}: no response ({error})") from None
    except HttpError as error:
        raise ServerError(f"{address}: {error}") from None
    with response:
        headers = {name.lower(): value for name, value in response.headers.items()}
        content = _read_body(response, address, timeout)
    return ServerResponse(url, response.status_code, headers, content)


def _read_body(response: Response, address: str, timeout: float) -> bytes:
    """Read the body, limited in size and in total time (a server may send byte by byte)."""
    from urllib3.exceptions import HTTPError

    deadline = time.monotonic() + timeout
    body = bytearray()
    try:
        # read1 returns the bytes available; requests would wait until a chunk is full.
        while chunk := response.raw.read1(_CHUNK, decode_content=True):
            body += chunk
            if len(body) > _MAX_RESPONSE_BYTES:
                raise ServerError(f"{address}: a response of more than 1 MiB, too long for scores")
            if time.monotonic() > deadline:
                raise ServerError(f"{address}: the response was incomplete after {timeout:g} s")
    except (HTTPError, OSError) as error:
        raise ServerError(
            f"{address}: the response ({response.status_code}) broke off after {len(body):,} "
            f"bytes ({root_cause(error)}); the submission may have been accepted, so check "
            "there first"
        ) from None
    return bytes(body)
