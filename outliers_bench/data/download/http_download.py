"""HTTP downloads: redirects, status codes, and resumption by byte ranges."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from outliers_bench.data.download.checksum import DownloadError, write_text_atomically
from outliers_bench.data.image_files import describe_os_error
from outliers_bench.runtime.http import (
    ConnectionLostError,
    redirect_target,
    retry_after,
    root_cause,
    send,
    url_error,
)
from outliers_bench.runtime.units import format_bytes

if TYPE_CHECKING:
    from requests import Response, Session

TIMEOUTS = (10.0, 30.0)  # seconds to connect, and between bytes
_MAX_REDIRECTS = 10
_CHUNK = 256 * 1024  # bytes
_TRANSIENT = (408, 425, 429, 500, 502, 503, 504)  # status codes to retry


def get(session: Session, url: str, headers: dict[str, str]) -> Response:
    """Send a GET request and follow redirects."""
    for _ in range(_MAX_REDIRECTS + 1):
        if reason := url_error(url, allow_password=True):
            raise DownloadError(reason)
        response = send(session, "GET", url, headers=headers, timeouts=TIMEOUTS)
        target = redirect_target(url, response.status_code, response.headers.get("Location"))
        if target is None:
            return response
        response.close()
        url = target
    raise DownloadError(f"redirected more than {_MAX_REDIRECTS} times")


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


@dataclass(frozen=True)
class _PartialFile:
    """Origin of an incomplete file on disk."""

    url: str = ""
    validator: str = ""  # ETag or date


def transfer(
    session: Session,
    url: str,
    part: Path,
    *,
    size: int | None,
    largest: int,
    checked: bool,
    report: Callable[[int, int | None], None],
) -> None:
    """Download the rest of a file over one connection (RFC 9110, Range and If-Range).

    Parameters
    ----------
    session : requests.Session
        Session to use.
    url : str
        Address of the file.
    part : Path
        The incomplete file. The download resumes after its last byte if the server supports ranges
        and the file is unchanged; otherwise it starts again.
    size : int or None
        Size of the complete file in bytes, if known.
    largest : int
        Maximum number of bytes.
    checked : bool
        Whether the complete file is compared with a published digest; it can then be resumed
        without a validator from the server.
    report : callable
        Called with the bytes received so far and the total.

    Raises
    ------
    ConnectionLostError
        If the connection failed or ended too early.
    DownloadError, HttpError
        If the server refuses, or has a different file.
    """
    state_file = part.with_name(f"{part.name}.json")
    partial = _read_state(state_file)
    have = part.stat().st_size if part.exists() and partial.url == url else 0
    if size is not None and have == size:
        return
    if (size is not None and have > size) or not (partial.validator or checked):
        have = 0
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
        if partial.validator:
            headers["If-Range"] = partial.validator
    with get(session, url, headers) as response:
        if response.status_code == 416 and have:
            if response.headers.get("Content-Range") == f"bytes */{have}" and size is None:
                return
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
            state = {"url": url, "validator": get_validator(response)}
            write_text_atomically(state_file, json.dumps(state))
        expected = size if size is not None else total
        have = _write(response, part, start, expected=expected, largest=largest, report=report)
    if expected is not None and have < expected:
        raise ConnectionLostError(f"the connection was closed after {have:,} of {expected:,} bytes")


def _write(
    response: Response,
    part: Path,
    have: int,
    *,
    expected: int | None,
    largest: int,
    report: Callable[[int, int | None], None],
) -> int:
    """Append the body to the file; return the file's size."""
    from urllib3.exceptions import HTTPError

    limit = largest if expected is None else expected
    try:
        file = part.open("ab" if have else "wb", buffering=0)
    except OSError as error:
        raise _write_error(part, error) from None
    with file:
        while True:
            try:
                chunk = response.raw.read1(_CHUNK, decode_content=False)
            except (HTTPError, OSError) as error:
                raise ConnectionLostError(root_cause(error)) from None
            if not chunk:
                return have
            have += len(chunk)
            if have > limit:
                with suppress(OSError):
                    part.unlink()
                raise DownloadError(f"the server sends more than the expected {limit:,} bytes")
            try:
                file.write(chunk)
            except OSError as error:
                raise _write_error(part, error) from None
            report(have, expected)


def _write_error(part: Path, error: OSError) -> DownloadError:
    return DownloadError(f"{part} cannot be written: {describe_os_error(error)}")


def _read_state(state_file: Path) -> _PartialFile:
    try:
        return _PartialFile(**json.loads(state_file.read_text()))
    except (OSError, ValueError, TypeError):
        return _PartialFile()
