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
    HttpError,
    LateResponseError,
    redact_url,
    request,
    retry_after,
    root_cause,
    url_error,
)

if TYPE_CHECKING:
    from requests import PreparedRequest, Response, Session

RETRY_STATUSES = (502, 503, 504)  # sent by a proxy when the request has not reached the server
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
        for attempt in range(retries + 1):
            pause = 2.0**attempt
            try:
                response = _send(session, url, body, token=token, timeout=timeout, report=report)
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


def _send(
    session: Session,
    url: str,
    body: bytes,
    *,
    token: str | None,
    timeout: float,
    report: Callable[[str], None],
) -> ServerResponse:
    """Send JSON and follow redirects; `ConnectionLostError` if it can safely be repeated."""
    address = redact_url(url)

    def authorize(sent: PreparedRequest) -> PreparedRequest:
        # A callable even without a token, or requests would look for a password in ~/.netrc.
        if token is not None:
            sent.headers["Authorization"] = f"Bearer {token}"
        return sent

    def check_redirect(source: str, status: int, target: str) -> None:
        nonlocal token
        if status not in (307, 308):
            raise BenchError(
                f"url={address}: the server redirects to {redact_url(target)} by {status}, which "
                "would turn the POST into a GET; if that is the URL of the competition, give it as "
                "url="
            )
        if session.should_strip_auth(source, target):  # type: ignore[no-untyped-call]
            token = None
        report(f"{redact_url(source)} redirects to {redact_url(target)} ({status}): following")

    try:
        response = request(
            *(session, "POST", url),
            on_redirect=check_redirect,
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
    return ServerResponse(response.url, response.status_code, headers, content)


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
