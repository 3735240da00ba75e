"""One request and its answer: an address, a POST, what came back or why nothing did."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from outliers_bench.errors import BenchError

if TYPE_CHECKING:
    from requests import PreparedRequest, Response, Session

_CONNECT = 10.0  # seconds
_LONGEST_ANSWER = 2**20  # bytes
_PIECE = 2**16


class ServerError(Exception):
    """Something is wrong on the other side; says what, in one line."""


class UnansweredError(Exception):
    """The connection failed before anything was answered."""


@dataclass(frozen=True)
class Answer:
    """What a server answered; the names of the headers in lower case."""

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes


def check_url(url: str) -> None:
    """Refuse what is no web address, or one with a password in it.

    Raises
    ------
    BenchError
        Names the mistake.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise BenchError(f"url={url}: no web address ({error})") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BenchError(f"url={url}: no web address; give it with http:// or https://")
    if parts.username is not None or parts.password is not None:
        raise BenchError(
            f"url=: take the name and password before @{parts.hostname} out, for the address is "
            "recorded; a secret goes into the environment's OUTLIERS_BENCH_TOKEN"
        )


def public_address(url: str) -> str:
    """An address without what may be secret in it, for messages."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    said = f"{parts.scheme}://{host}{parts.path}" if host else url[:100]
    return "".join(letter for letter in said if letter.isprintable())


def exchange(
    session: Session, url: str, body: bytes, *, token: str | None, timeout: float
) -> Answer:
    """Send JSON once, and read the answer, whatever its status.

    Parameters
    ----------
    session : requests.Session
        Follows no redirects.
    url : str
        An http or https address.
    body : bytes
        The JSON.
    token : str or None
        Sent as `Authorization: Bearer`.
    timeout : float
        Seconds to wait for an answer, and again to read it.

    Raises
    ------
    UnansweredError
        If the connection failed before any answer: sent again, it does not count twice.
    ServerError
        If no whole answer came after that, or in time.
    """
    import requests

    def authorize(request: PreparedRequest) -> PreparedRequest:
        # As a callable, also where there is none: requests would look for a password in ~/.netrc.
        if token is not None:
            request.headers["Authorization"] = f"Bearer {token}"
        return request

    place = public_address(url)
    try:
        response = session.post(
            url,
            data=body,
            headers={"Content-Type": "application/json", "Accept": "application/json"},
            timeout=(min(_CONNECT, timeout), timeout),
            allow_redirects=False,
            auth=authorize,
            stream=True,
        )
    except requests.exceptions.SSLError as error:
        raise ServerError(f"{place}: no safe connection ({_cause(error)})") from None
    except requests.exceptions.ReadTimeout:
        raise ServerError(
            f"{place} has not answered within {timeout:g} s; it may have taken the submission all "
            "the same, so look there before sending it again, or wait longer with timeout="
        ) from None
    except requests.exceptions.ConnectionError as error:  # a time-out of connecting is one, too
        raise UnansweredError(f"{place}: no answer ({_cause(error)})") from None
    except requests.exceptions.RequestException as error:
        raise ServerError(f"{place}: {_cause(error)}") from None
    with response:
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Answer(url, response.status_code, headers, _body(response, place, timeout))


def _body(response: Response, place: str, timeout: float) -> bytes:
    """The answer's text; a server that sends byte after byte shall not keep us for ever."""
    from urllib3.exceptions import HTTPError

    until = time.monotonic() + timeout
    read = bytearray()
    try:
        # What has come, however little; requests' own way waits until a piece is full.
        while piece := response.raw.read1(_PIECE, decode_content=True):
            read += piece
            if len(read) > _LONGEST_ANSWER:
                raise ServerError(f"{place}: an answer of more than 1 MiB, which is no score")
            if time.monotonic() > until:
                raise ServerError(f"{place}: the answer was not complete after {timeout:g} s")
    except (HTTPError, OSError) as error:
        raise ServerError(
            f"{place}: the answer ({response.status_code}) broke off after {len(read):,} bytes "
            f"({_cause(error)}); the submission may have been taken, so look there first"
        ) from None
    return bytes(read)


def _cause(error: BaseException) -> str:
    """The innermost reason, in a few words: libraries wrap it three times."""
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
    said = " ".join(str(inner).split())
    return (said.rpartition(">: ")[2] or said or type(inner).__name__)[:150]
