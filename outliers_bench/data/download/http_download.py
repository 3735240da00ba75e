"""What a server answers, and what it means for a download."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from outliers_bench.data.download.checksum import DownloadError, format_bytes, replace_text
from outliers_bench.data.image_files import reason

if TYPE_CHECKING:
    from requests import Response, Session

if TYPE_CHECKING:
    from requests import Response, Session

TIMEOUTS = (10.0, 30.0)  # seconds to connect, and without a byte
_MOST_REDIRECTS = 10
_SCHEMES = ("http", "https")
_REDIRECTS = (301, 302, 303, 307, 308)
_PASSING = (408, 425, 429, 500, 502, 503, 504)  # statuses that may be others in a minute
_LONGEST_PAUSE = 60.0  # seconds that a server may ask us to wait


class Interrupted(Exception):  # noqa: N818 - nothing is lost, the next connection goes on
    """A connection that ended too early; what came is kept.

    Parameters
    ----------
    why : str
        What happened.
    answered : bool
        Whether the server has answered at all.
    pause : float
        Seconds to wait as the server says; 0 where it says nothing.
    """

    def __init__(self, why: str, *, answered: bool = True, pause: float = 0.0) -> None:
        super().__init__(why)
        self.answered = answered
        self.pause = pause


def get(session: Session, url: str, headers: dict[str, str]) -> Response:
    """The answer of wherever the redirects lead."""
    import requests
    from requests import exceptions

    if urlsplit(url).scheme not in _SCHEMES:
        raise DownloadError("only http:// and https:// are fetched")
    for _ in range(_MOST_REDIRECTS + 1):
        try:
            answer = session.get(
                url, headers=headers, stream=True, timeout=TIMEOUTS, allow_redirects=False
            )
        except exceptions.SSLError as error:
            raise DownloadError(f"the server's certificate is refused ({said(error)})") from None
        except (exceptions.ConnectionError, exceptions.Timeout) as error:
            raise Interrupted(said(error), answered=_was_there(error)) from None
        except requests.RequestException as error:
            raise DownloadError(said(error)) from None
        place = answer.headers.get("Location")
        if answer.status_code not in _REDIRECTS or place is None:
            return answer
        answer.close()
        target = urljoin(url, place)
        scheme = urlsplit(target).scheme
        if scheme not in _SCHEMES or (urlsplit(url).scheme == "https" and scheme != "https"):
            raise DownloadError(
                f"redirected from {urlsplit(url).scheme} to {target}, which is refused"
            )
        url = target
    raise DownloadError(f"redirected more than {_MOST_REDIRECTS} times")


def check_status(answer: Response) -> None:
    """Raise if an answer brings no file: `Interrupted` where it may do so in a minute."""
    status = f"the server answers {answer.status_code} {answer.reason}"
    if answer.status_code in _PASSING:
        raise Interrupted(status, pause=_asked_pause(answer))
    if answer.status_code not in (200, 206):
        raise DownloadError(status)


def _asked_pause(answer: Response) -> float:
    """Seconds of Retry-After; a date in it is left to our own pauses."""
    text = answer.headers.get("Retry-After", "")
    return min(float(text), _LONGEST_PAUSE) if text.isdecimal() else 0.0


def extent(answer: Response, have: int) -> tuple[int, int | None]:
    """First byte of what comes, and bytes of the whole where the server says."""
    if answer.status_code == 206:
        unit, _, extent = answer.headers.get("Content-Range", "").partition(" ")
        span, _, whole = extent.partition("/")
        if unit != "bytes" or not have or span.partition("-")[0] != str(have):
            raise DownloadError(f"the server sends another part than was asked for ({extent})")
        return have, int(whole) if whole.isdecimal() else None
    length = answer.headers.get("Content-Length", "")
    return 0, int(length) if length.isdecimal() else None


def validator(answer: Response) -> str:
    """What the server knows the file by; a weak ETag may stand for other bytes."""
    etag = answer.headers.get("ETag", "")
    if etag:
        return "" if etag.startswith("W/") else etag
    return answer.headers.get("Last-Modified", "")


def _was_there(error: Exception) -> bool:
    """Whether a server was reached before the connection failed."""
    said = str(error)
    return not any(word in said for word in ("NameResolution", "NewConnection", "ConnectTimeout"))


def said(error: Exception) -> str:
    """The innermost of the nested messages of requests and urllib3, in one line."""
    inner: BaseException = error
    while True:
        inside = getattr(inner, "reason", None) or next(
            (item for item in inner.args if isinstance(item, BaseException)), None
        )
        if not isinstance(inside, BaseException):
            break
        inner = inside
    said = " ".join(str(inner).split())
    return said.rpartition("object at ")[2].partition(": ")[2] or said or type(inner).__name__


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
                f"the server has {format_bytes(total)}, more than the {format_bytes(largest)} that are "
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
