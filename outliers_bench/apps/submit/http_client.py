"""A single POST request: check the URL, send JSON, read the response or explain its absence."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from outliers_bench.errors import BenchError

if TYPE_CHECKING:
    from requests import PreparedRequest, Response, Session

_CONNECT_TIMEOUT = 10.0  # seconds
_MAX_RESPONSE_BYTES = 2**20  # bytes
_CHUNK = 2**16


class ServerError(Exception):
    """A fault of the server, described in one line."""


class NoResponseError(Exception):
    """A connection that failed before the server sent any response."""


@dataclass(frozen=True)
class ServerResponse:
    """A server's response; header names are in lower case."""

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes


def check_url(url: str) -> None:
    """Check that a URL is an http or https address without a password.

    Raises
    ------
    BenchError
        If it is not.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise BenchError(f"url={url}: not a web address ({error})") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BenchError(f"url={url}: not a web address; begin it with http:// or https://")
    if parts.username is not None or parts.password is not None:
        raise BenchError(
            f"url=: remove the name and password before @{parts.hostname}, because the URL is "
            "recorded; put the secret in the environment variable OUTLIERS_BENCH_TOKEN"
        )


def redact_url(url: str) -> str:
    """Return a URL without user name, password, query and fragment, for messages and tags."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    text = f"{parts.scheme}://{host}{parts.path}" if host else url[:100]
    return "".join(char for char in text if char.isprintable())


def send_request(
    session: Session, url: str, body: bytes, *, token: str | None, timeout: float
) -> ServerResponse:
    """Send JSON once and return the response, whatever its status.

    Parameters
    ----------
    session : requests.Session
        Session; redirects are not followed.
    url : str
        An http or https address.
    body : bytes
        The JSON.
    token : str or None
        Token for the header `Authorization: Bearer`.
    timeout : float
        Seconds to wait for the response, and again to read it.

    Raises
    ------
    NoResponseError
        If the connection failed before any response; the request can safely be repeated.
    ServerError
        If the response is late or incomplete.
    """
    import requests

    def authorize(request: PreparedRequest) -> PreparedRequest:
        # A callable even without a token, or requests would look for a password in ~/.netrc.
        if token is not None:
            request.headers["Authorization"] = f"Bearer {token}"
        return request

    address = redact_url(url)
    try:
        response = session.post(
            url,
            data=body,
            headers={"Content-Type": "application/json", "Accept": "application/json"},
            timeout=(min(_CONNECT_TIMEOUT, timeout), timeout),
            allow_redirects=False,
            auth=authorize,
            stream=True,
        )
    except requests.exceptions.SSLError as error:
        raise ServerError(f"{address}: no secure connection ({_root_cause(error)})") from None
    except requests.exceptions.ReadTimeout:
        raise ServerError(
            f"{address} has not responded within {timeout:g} s; it may have accepted the "
            "submission, so check there before sending it again, or wait longer with timeout="
        ) from None
    except requests.exceptions.ConnectionError as error:  # includes connect timeouts
        raise NoResponseError(f"{address}: no response ({_root_cause(error)})") from None
    except requests.exceptions.RequestException as error:
        raise ServerError(f"{address}: {_root_cause(error)}") from None
    with response:
        headers = {name.lower(): value for name, value in response.headers.items()}
        return ServerResponse(
            url, response.status_code, headers, _read_body(response, address, timeout)
        )


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
            f"bytes ({_root_cause(error)}); the submission may have been accepted, so check "
            "there first"
        ) from None
    return bytes(body)


def _root_cause(error: BaseException) -> str:
    """Return the message of the innermost error; libraries wrap it several times."""
    inner: BaseException = error
    while True:
        deeper = inner.__cause__ or inner.__context__
        reason = getattr(inner, "reason", None)
        argument = inner.args[0] if inner.args else None
        for candidate in (reason, argument, deeper):
            if isinstance(candidate, BaseException) and candidate is not inner:
                inner = candidate
                break
        else:
            break
    if isinstance(inner, OSError) and inner.strerror:
        return inner.strerror.lower()
    message = " ".join(str(inner).split())
    return (message.rpartition(">: ")[2] or message or type(inner).__name__)[:150]
