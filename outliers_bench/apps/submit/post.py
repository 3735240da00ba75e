"""A POST to a server that may be slow, broken, moved or gone: retries and redirects."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urljoin, urlsplit

from outliers_bench.apps.submit.http_client import (
    Answer,
    ServerError,
    UnansweredError,
    exchange,
    public_address,
)
from outliers_bench.errors import BenchError

if TYPE_CHECKING:
    from requests import Session

AGAIN = (502, 503, 504)  # from a proxy in front of a server that has not seen the request
_LONGEST_PAUSE = 60.0  # seconds, whatever a server asks for
_REDIRECTS = 5


def post(
    url: str,
    body: bytes,
    *,
    token: str | None = None,
    timeout: float = 60.0,
    retries: int = 3,
    tell: Callable[[str], None] = print,
    sleep: Callable[[float], None] = time.sleep,
) -> Answer:
    """Send JSON, and again where nothing was answered.

    A POST that is repeated may count twice. So it is repeated only where the connection failed
    before any answer, or a proxy answered 502, 503 or 504. It is not after waiting in vain, for
    then the server may be at work on it. Redirects 307 and 308, which keep a POST a POST, are
    followed, but from https to http; the token goes to no other host.

    Parameters
    ----------
    url : str
        An http or https address.
    body : bytes
        The JSON.
    token : str or None
        Sent as `Authorization: Bearer`.
    timeout : float
        Seconds to wait for an answer, and again to read it.
    retries : int
        How often to try again; after 1, 2, 4, ... seconds, or as `Retry-After` asks.
    tell : callable
        Gets a line for each retry and redirect.
    sleep : callable
        Waits for seconds.

    Returns
    -------
    Answer
        Whatever its status.

    Raises
    ------
    ServerError
        If no whole answer came.
    BenchError
        If a redirect cannot be followed.
    """
    from requests import Session

    with Session() as session:
        # Else requests prepares to follow, and to do so reads the whole answer, however long.
        session.get_redirect_target = lambda _: None  # type: ignore[assignment, method-assign]
        for attempt in range(retries + 1):
            pause = 2.0**attempt
            try:
                answer = _follow(session, url, body, token=token, timeout=timeout, tell=tell)
            except UnansweredError as error:
                if attempt == retries:
                    times = "once" if attempt == 0 else f"{attempt + 1} times"
                    raise ServerError(
                        f"{error}, tried {times}; is the address right, and the server up?"
                    ) from None
                why = str(error)
            else:
                if answer.status not in AGAIN or attempt == retries:
                    return answer
                pause = max(pause, _asked_pause(answer))
                why = f"{public_address(answer.url)} answered {answer.status}"
            tell(f"{why}; trying again in {pause:.0f} s ({attempt + 1} of {retries})")
            sleep(pause)
    raise AssertionError("the last attempt returns or raises")


def _follow(
    session: Session,
    url: str,
    body: bytes,
    *,
    token: str | None,
    timeout: float,
    tell: Callable[[str], None],
) -> Answer:
    first = url
    for _ in range(_REDIRECTS):
        answer = exchange(session, url, body, token=token, timeout=timeout)
        target = answer.headers.get("location")
        if not 300 <= answer.status < 400 or not target:
            return answer
        here = public_address(url)
        try:
            target = urljoin(url, target)
            before, after = urlsplit(url), urlsplit(target)
            there, elsewhere = public_address(target), _host(before) != _host(after)
        except ValueError:
            raise ServerError(f"{here} redirects to what is no web address") from None
        if answer.status not in (307, 308):
            raise BenchError(
                f"url={public_address(first)}: the server redirects to {there} by "
                f"{answer.status}, which would turn the submission into a mere look at "
                "that page; if that is the address of the competition, give it as url="
            )
        if after.scheme not in ("http", "https") or not after.hostname:
            raise ServerError(f"{here} redirects to {there}, no web address")
        if before.scheme == "https" and after.scheme == "http":
            raise BenchError(
                f"url={public_address(first)}: the server redirects from https to {there}, where "
                "anybody on the way could read what is sent; give that as url= if you want it so"
            )
        if elsewhere:
            token = None
        tell(f"{here} redirects to {there} ({answer.status}): following")
        url = target
    raise ServerError(f"{public_address(first)} redirects more than {_REDIRECTS} times")


def _asked_pause(answer: Answer) -> float:
    try:
        seconds = float(answer.headers.get("retry-after", ""))
    except ValueError:  # absent, or a date
        return 0.0
    return min(seconds, _LONGEST_PAUSE) if math.isfinite(seconds) else 0.0


def _host(parts: SplitResult) -> tuple[str | None, int | None]:
    return parts.hostname, parts.port
