"""A single POST request: check the URL, send JSON, read the response or explain its absence."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from outliers_bench.errors import BenchError
from outliers_bench.runtime.http import (
    ConnectionLostError,
    HttpError,
    LateResponseError,
    redact_url,
    root_cause,
    send,
    url_error,
)

if TYPE_CHECKING:
    from requests import PreparedRequest, Response, Session

_CONNECT_TIMEOUT = 10.0  # seconds
_MAX_RESPONSE_BYTES = 2**20  # bytes
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
    """Check that a URL is an http or https address without a password.

    Raises
    ------
    BenchError
        If it is not.
    """
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


def send_request(
    session: Session, url: str, body: bytes, *, token: str | None, timeout: float
) -> ServerResponse:
    """Send JSON once and return the response, whatever its status.

    Raises
    ------
    ConnectionLostError
        If the connection failed before any response; the request can safely be repeated.
    ServerError
        If there is no response within `timeout` seconds, or it is not complete after as many more.
    """

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
            f"bytes ({root_cause(error)}); the submission may have been accepted, so check "
            "there first"
        ) from None
    return bytes(body)
