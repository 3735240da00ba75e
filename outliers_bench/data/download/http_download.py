"""HTTP downloads: redirects, status codes, and resumption by byte ranges."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from outliers_bench.data.download.checksum import DownloadError, RemoteFile
from outliers_bench.runtime.http import (
    ConnectionLostError,
    request,
    retry_after,
    root_cause,
    url_error,
)
from outliers_bench.runtime.units import format_bytes
from outliers_bench.store.files import write_atomically

if TYPE_CHECKING:
    from requests import Response, Session

TIMEOUTS = (10.0, 30.0)  # seconds to connect, and between bytes
_CHUNK = 256 * 1024  # bytes
_TRANSIENT = (408, 425, 429, 500, 502, 503, 504)  # status codes to retry


def get(session: Session, url: str, headers: dict[str, str]) -> Response:
    """Send a GET request and follow redirects."""
    if reason := url_error(url, allow_password=True):
        raise DownloadError(reason)
    return request(session, "GET", url, headers=headers, timeouts=TIMEOUTS)


def check_status(response: Response) -> None:
    """Raise if a response is not a file: `ConnectionLostError` if a retry may help."""
    status = f"the server returned {response.status_code} {response.reason}"
    if response.status_code in _TRANSIENT:
        raise ConnectionLostError(status, pause=retry_after(response.headers.get("Retry-After")))
    if response.status_code not in (200, 206):
        raise DownloadError(status)


def parse_extent(response: Response, have: int) -> tuple[int, int | None]:
    """Return the first byte of a response, and the size of the file if the server gives it."""
    if response.status_code == 206:
        unit, _, extent = response.headers.get("Content-Range", "").partition(" ")
        span, _, total = extent.partition("/")
        if unit != "bytes" or not have or span.partition("-")[0] != str(have):
            raise DownloadError(f"the server sends another range than requested ({extent})")
        return have, int(total) if total.isdecimal() else None
    length = response.headers.get("Content-Length", "")
    return 0, int(length) if length.isdecimal() else None


def get_validator(response: Response) -> str:
    """Return the ETag or date that identifies the file's content; a weak ETag does not."""
    etag = response.headers.get("ETag", "")
    if etag:
        return "" if etag.startswith("W/") else etag
    return response.headers.get("Last-Modified", "")


def transfer(
    session: Session,
    remote: RemoteFile,
    part: Path,
    *,
    largest: int,
    report: Callable[[int], None],
) -> None:
    """Download the rest of a file over one connection (RFC 9110, Range and If-Range).

    The download resumes after the last byte of `part` if the server supports ranges and the file is
    unchanged; otherwise it starts again. A file with a published digest is compared with it in the
    end, and can be resumed without a validator from the server. One of unknown size may have
    `largest` bytes. `report` is called with the bytes received so far.

    Raises
    ------
    ConnectionLostError
        If the connection failed or ended too early.
    DownloadError, HttpError
        If the server refuses, or has a different file.
    """
    size = remote.size
    state_file = part.with_name(f"{part.name}.json")
    state = _read_state(state_file)
    have = part.stat().st_size if part.exists() and state.get("url") == remote.url else 0
    if size is not None and have == size:
        return
    validator = state.get("validator")
    if (size is not None and have > size) or not (validator or remote.sha256):
        have = 0
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
        if validator:
            headers["If-Range"] = validator
    with get(session, remote.url, headers) as response:
        if response.status_code == 416 and have:
            part.unlink()
            raise ConnectionLostError("the file on the server is shorter than before")
        check_status(response)
        start, total = parse_extent(response, have)
        if size is not None and total not in (size, None):
            raise DownloadError(f"the server has {total:,} bytes, the published file {size:,}")
        if size is None and total is not None and total > largest:
            raise DownloadError(
                f"the file has {format_bytes(total)}, more than the limit of "
                f"{format_bytes(largest)}"
            )
        if start == 0:
            part.unlink(missing_ok=True)  # before the state: never old bytes under a new address
            with write_atomically(state_file) as temporary:
                state = {"url": remote.url, "validator": get_validator(response)}
                temporary.write_text(json.dumps(state))
        expected = total if size is None else size
        limit = largest if expected is None else expected
        have = _write(response, part, start, limit=limit, report=report)
    if expected is not None and have < expected:
        raise ConnectionLostError(f"the connection was closed after {have:,} of {expected:,} bytes")


def _write(
    response: Response, part: Path, have: int, *, limit: int, report: Callable[[int], None]
) -> int:
    """Append the body to the file; return the file's size."""
    from urllib3.exceptions import HTTPError

    with part.open("ab" if have else "wb", buffering=0) as file:
        while True:
            try:
                chunk = response.raw.read1(_CHUNK, decode_content=False)
            except (HTTPError, OSError) as error:
                raise ConnectionLostError(root_cause(error)) from None
            if not chunk:
                return have
            have += len(chunk)
            if have > limit:
                part.unlink()
                raise DownloadError(f"the server sends more than the expected {limit:,} bytes")
            file.write(chunk)
            report(have)


def _read_state(state_file: Path) -> dict[str, str]:
    """Return address and validator of an incomplete file."""
    try:
        return dict(json.loads(state_file.read_text()))
    except (OSError, ValueError):
        return {}
