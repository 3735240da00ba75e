"""A POST request with retries and redirects."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from outliers_bench.apps.submit.http_client import ServerError, ServerResponse, send_request
from outliers_bench.errors import BenchError
from outliers_bench.runtime.http import (
    ConnectionLostError,
    DowngradeError,
    HttpError,
    redact_url,
    redirect_target,
    retry_after,
)

if TYPE_CHECKING:
    from requests import Session

RETRY_STATUSES = (502, 503, 504)  # sent by a proxy when the request has not reached the server
_MAX_REDIRECTS = 5


def post(
    url: str,
    body: bytes,
    *,
    token: str | None = None,
    timeout: float = 60.0,
    retries: int = 3,
    report: Callable[[str], None] = print,
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
                response = _post_with_redirects(
                    session, url, body, token=token, timeout=timeout, report=report
                )
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


def _post_with_redirects(
    session: Session,
    url: str,
    body: bytes,
    *,
    token: str | None,
    timeout: float,
    report: Callable[[str], None],
) -> ServerResponse:
    first = url
    for _ in range(_MAX_REDIRECTS):
        response = send_request(session, url, body, token=token, timeout=timeout)
        source, location = redact_url(url), response.headers.get("location")
        try:
            location = redirect_target(url, response.status, location)
        except DowngradeError as error:
            raise BenchError(
                f"url={redact_url(first)}: {error}, because the submission would not be encrypted; "
                "to allow that, give that address as url="
            ) from None
        except HttpError as error:
            raise ServerError(f"{source}: {error}") from None
        if location is None:
            return response
        target = redact_url(location)
        if response.status not in (307, 308):
            raise BenchError(
                f"url={redact_url(first)}: the server redirects to {target} by "
                f"{response.status}, which would turn the POST into a GET; if that is the URL of "
                "the competition, give it as url="
            )
        if _host(url) != _host(location):
            token = None
        report(f"{source} redirects to {target} ({response.status}): following")
        url = location
    raise ServerError(f"{redact_url(first)} redirects more than {_MAX_REDIRECTS} times")


def _host(url: str) -> tuple[str | None, int | None]:
    parts = urlsplit(url)
    return parts.hostname, parts.port
