"""Parsing of a competition's response: scores of any structure, or an error message."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from html import unescape

from outliers_bench.apps.submit.post import ServerError, ServerResponse
from outliers_bench.errors import BenchError
from outliers_bench.runtime.http import redact_url

SCORE_KEYS = ("results", "accuracy")
_NOT_JSON = object()
_MESSAGE_KEYS = ("error", "detail", "message", "reason")  # keys of error messages
_MAX_LENGTH = 300  # characters of a message
_MAX_SCORES = 100  # that are shown and logged; all are in the file of the response
_MAX_DEPTH = 20  # levels of nested values
_MAX_PAGE = 65536  # bytes of a page in which its message is looked for
# In linear time: what is not closed ends with the page.
_MARKUP = re.compile(r"(?is)<(script|style)\b.*?(?:</\1\s*>|\Z)|<[^>]*(?:>|\Z)")
_JSON_TEXT = re.compile(rb'("(?:[^"\\]|\\.)*")(\s*:)?')
_TITLE = re.compile(r"(?is)<title[^>]*(?:>|\Z)(.*?)(?:</title>|\Z)")
_HINTS = {
    401: "; set OUTLIERS_BENCH_TOKEN to the token of the competition",
    404: "; correct url=: the URL of the competition including the path, such as .../retrieval/",
    405: "; correct url=: the URL of the competition including the path, such as .../retrieval/",
}


@dataclass(frozen=True)
class Scores:
    """Scores of a submission.

    Parameters
    ----------
    texts : tuple of (str, str)
        Name of each value, with slashes between levels, and its text.
    numbers : dict of str to float
        Values that are finite numbers, by name.
    """

    texts: tuple[tuple[str, str], ...]
    numbers: dict[str, float]


def read_scores(response: ServerResponse) -> Scores:
    """Read the scores from a response.

    Returns
    -------
    Scores
        Values of `results` and `accuracy`, at any nesting depth; empty if the server only says
        that the submission is `accepted`.

    Raises
    ------
    ServerError
        If the server failed, or the response is not JSON with scores.
    BenchError
        If the server rejected the submission.
    """
    address, status = redact_url(response.url), response.status
    if status >= 500 or 300 <= status < 400 or status < 200:
        raise ServerError(f"{address} responded with {status}: {_message(response)}")
    if status >= 400:
        seconds = response.headers.get("retry-after", "")
        wait = f"; try again in {seconds} s" if seconds.isdecimal() else ""
        hint = _HINTS.get(status, "")
        raise BenchError(
            f"{address} rejected the submission ({status}): {_message(response)}{wait}{hint}"
        )
    content = _parse(response.body)
    if content is _NOT_JSON:
        raise ServerError(
            f"{address} responded with {status}, but not with JSON: {_message(response)}; is that "
            "the URL of the competition, including the path?"
        )
    if not isinstance(content, dict):
        raise ServerError(f"{address} responded with JSON without results: {_message(response)}")
    texts: list[tuple[str, str]] = []
    numbers: dict[str, float] = {}
    leaves = [
        (key, inner, value)
        for key in SCORE_KEYS
        if content.get(key) is not None
        for inner, value in _leaves(content[key])
    ]
    for key, inner, value in leaves[:_MAX_SCORES]:
        # `results` adds nothing to the name of a nested value; `accuracy` does.
        name = inner if inner and key == "results" else "/".join(filter(None, (key, inner)))
        name = to_one_line(name)
        texts.append((name, to_one_line(_format(value))))
        number = _parse_number(value)
        if number is not None:
            numbers[name] = number
    if not texts and content.get("accepted") is not True:
        keys = " or ".join(SCORE_KEYS)
        raise ServerError(f"{address} responded with JSON without {keys}: {_message(response)}")
    return Scores(tuple(texts), numbers)


def redact_token(response: ServerResponse, token: str) -> ServerResponse:
    """Remove the token from a response, since some servers repeat it; JSON remains valid.

    In JSON, only string values are changed, not keys or numbers: a token such as 2026 may be part
    of them.
    """

    def redact(text: bytes) -> bytes:
        for encoded in (token.encode(), json.dumps(token)[1:-1].encode()):
            text = text.replace(encoded, b"(the token)")
        return text

    if not is_json(response.body):
        return replace(response, body=redact(response.body))
    body = _JSON_TEXT.sub(lambda match: match[0] if match[2] else redact(match[1]), response.body)
    return replace(response, body=body)


def is_json(body: bytes) -> bool:
    """Check whether a response body is valid JSON."""
    return _parse(body) is not _NOT_JSON


def _parse(body: bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return _NOT_JSON


def to_one_line(text: str) -> str:
    """Return a server's text on one line, without control characters, shortened if necessary."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= _MAX_LENGTH else f"{line[: _MAX_LENGTH - 3]}..."


def _leaves(value: object, name: str = "", level: int = 0) -> Iterator[tuple[str, object]]:
    """Yield the path and value of every nested value that is not a container."""
    if level < _MAX_DEPTH and isinstance(value, dict):
        parts = [(str(key), inner) for key, inner in value.items()]
    elif level < _MAX_DEPTH and isinstance(value, list):
        parts = [(str(index), inner) for index, inner in enumerate(value)]
    else:
        yield name, value
        return
    for key, inner in parts:
        yield from _leaves(inner, f"{name}/{key}" if name else key, level + 1)


def _format(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return value if isinstance(value, str) else json.dumps(value)


def _parse_number(value: object) -> float | None:
    """Return a finite number, which may be a string or have a percent sign, or None."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    is_percent = isinstance(value, str) and value.rstrip().endswith("%")
    try:
        number = float(value.rstrip().removesuffix("%") if isinstance(value, str) else value)
    except (ValueError, OverflowError):
        return None
    number = number / 100 if is_percent else number
    return number if math.isfinite(number) else None


def _message(response: ServerResponse) -> str:
    """Return a server's message: from the JSON, the title of an HTML page, or the text."""
    content = _parse(response.body)
    if content is _NOT_JSON:
        text = response.body[:_MAX_PAGE].decode(errors="replace")
        kind = response.headers.get("content-type", "")
        if "html" in kind or text.lstrip()[:1] == "<":
            title = _TITLE.search(text)
            text = title[1] if title else _MARKUP.sub(" ", text)
            return f"an HTML page with the text {to_one_line(unescape(text)) or 'nothing'!r}"
        return to_one_line(text) or "nothing"
    if isinstance(content, dict):
        for key in _MESSAGE_KEYS:
            if content.get(key):
                return to_one_line(_format(content[key]))
    return to_one_line(json.dumps(content, ensure_ascii=False))
