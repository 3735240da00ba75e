"""One connection: what is still missing of a file, taken from where it lies."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from outliers_bench.data.download.answer import (
    Interrupted,
    check_status,
    extent,
    get,
    said,
    validator,
)
from outliers_bench.data.download.remote import DownloadError, in_words, replace_text
from outliers_bench.data.files import reason

if TYPE_CHECKING:
    from requests import Response, Session

_PIECE = 256 * 1024


@dataclass(frozen=True)
class _Begun:
    """Which file the beginning on the disk is of."""

    url: str = ""
    validator: str = ""  # ETag or date, by which a server knows its file again


def transfer(
    session: Session,
    url: str,
    part: Path,
    *,
    size: int | None,
    largest: int,
    checked: bool,
    tell: Callable[[int, int | None], None],
) -> None:
    """Take what is missing of a file over one connection (RFC 9110, Range and If-Range).

    Parameters
    ----------
    session : requests.Session
    url : str
        Where the file lies.
    part : Path
        What is there of it. Goes on after its last byte where the server sends parts, and the file
        is what it was; begins anew otherwise.
    size : int or None
        Bytes of the whole, where they are known.
    largest : int
        Most bytes that are taken.
    checked : bool
        Whether the whole is held against a published digest, so that it may be taken up again
        without the server's word that it is still the same.
    tell : callable
        Gets bytes so far and of the whole.

    Raises
    ------
    Interrupted
        If the connection could not be made or ended too early.
    DownloadError
        If the server refuses, or has another file.
    """
    note = part.with_name(f"{part.name}.json")
    begun = _read(note)
    have = part.stat().st_size if part.exists() and begun.url == url else 0
    if size is not None and have == size:
        return
    if (size is not None and have > size) or not (begun.validator or checked):
        have = 0
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
        if begun.validator:
            headers["If-Range"] = begun.validator
    with get(session, url, headers) as answer:
        if answer.status_code == 416 and have:
            if answer.headers.get("Content-Range") == f"bytes */{have}" and size is None:
                return
            part.unlink()
            raise Interrupted("the file there is shorter than what was there of it before")
        check_status(answer)
        start, total = extent(answer, have)
        if size is not None and total not in (size, None):
            raise DownloadError(f"the server has {total:,} bytes, the published file {size:,}")
        if size is None and total is not None and total > largest:
            raise DownloadError(
                f"the server has {in_words(total)}, more than the {in_words(largest)} that are "
                "taken"
            )
        if start == 0:
            part.unlink(missing_ok=True)  # before the note: never old bytes under a new name
            replace_text(note, json.dumps({"url": url, "validator": validator(answer)}))
        wanted = size if size is not None else total
        have = _write(answer, part, start, wanted=wanted, largest=largest, tell=tell)
    if wanted is not None and have < wanted:
        raise Interrupted(f"the connection was closed after {have:,} of {wanted:,} bytes")


def _write(
    answer: Response,
    part: Path,
    have: int,
    *,
    wanted: int | None,
    largest: int,
    tell: Callable[[int, int | None], None],
) -> int:
    """Write the body behind what is there; gives the bytes there are then."""
    from urllib3.exceptions import HTTPError

    limit = largest if wanted is None else wanted
    try:
        file = part.open("ab" if have else "wb", buffering=0)
    except OSError as error:
        raise DownloadError(f"{part} cannot be written: {reason(error)}") from None
    with file:
        while True:
            try:
                piece = answer.raw.read1(_PIECE, decode_content=False)
            except (HTTPError, OSError) as error:
                raise Interrupted(said(error)) from None
            if not piece:
                return have
            have += len(piece)
            if have > limit:
                with suppress(OSError):
                    part.unlink()
                raise DownloadError(f"the server sends more than the {limit:,} bytes it should")
            try:
                file.write(piece)
            except OSError as error:
                raise DownloadError(f"{part} cannot be written: {reason(error)}") from None
            tell(have, wanted)


def _read(note: Path) -> _Begun:
    try:
        return _Begun(**json.loads(note.read_text()))
    except (OSError, ValueError, TypeError):
        return _Begun()
