"""What a server answers, and what it means for a download."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from outliers_bench.data.download.remote import DownloadError

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
