"""What a competition answered: scores of any shape, or what went wrong."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from html import unescape

from outliers_bench.apps.submit.http_client import Answer, ServerError, public_address
from outliers_bench.errors import BenchError

SCORES = ("results", "accuracy")
_SAID = ("error", "detail", "message", "reason")  # where servers say what is wrong
_LONGEST = 300  # characters of what a server says
_DEEPEST = 20  # levels of nested answers
_MARKUP = re.compile(r"(?is)<(script|style)\b.*?</\1\s*>|<[^>]*>")
_JSON_TEXT = re.compile(rb'("(?:[^"\\]|\\.)*")(\s*:)?')
_TITLE = re.compile(r"(?is)<title[^>]*>(.*?)</title>")
_TO_DO = {
    401: "; set OUTLIERS_BENCH_TOKEN to the token of the competition",
    404: "; correct url=, it is the competition's address with its path, such as .../retrieval/",
    405: "; correct url=, it is the competition's address with its path, such as .../retrieval/",
}


@dataclass(frozen=True)
class Scores:
    """What a submission was worth.

    Parameters
    ----------
    shown : tuple of (str, str)
        Each value that was answered: its name, levels with slashes between them, and its text.
    numbers : dict of str to float
        Those that are finite numbers.
    """

    shown: tuple[tuple[str, str], ...]
    numbers: dict[str, float]


def read_scores(answer: Answer) -> Scores:
    """The scores in an answer.

    Parameters
    ----------
    answer : Answer
        From `post`.

    Returns
    -------
    Scores
        What stands in `results` and `accuracy`, whatever its shape; empty where the server says
        `accepted` and keeps the scores to itself.

    Raises
    ------
    ServerError
        If the server failed, or answered something else than JSON with such scores.
    BenchError
        If it refused what was sent: there is something to mend here.
    """
    place, status = public_address(answer.url), answer.status
    if status >= 500 or 300 <= status < 400 or status < 200:
        raise ServerError(f"{place} answered {status}: {_said(answer)}")
    if status >= 400:
        when = answer.headers.get("retry-after", "")
        wait = f"; try again in {when} s" if when.isdecimal() else ""
        raise BenchError(
            f"{place} refused it ({status}): {_said(answer)}{wait}{_TO_DO.get(status, '')}"
        )
    try:
        content = json.loads(answer.body)
    except (ValueError, RecursionError):
        raise ServerError(
            f"{place} answered {status}, but no JSON: {_said(answer)}; is that the address of "
            "the competition, with its path?"
        ) from None
    if not isinstance(content, dict):
        raise ServerError(f"{place} answered JSON without results: {_said(answer)}")
    shown: list[tuple[str, str]] = []
    numbers: dict[str, float] = {}
    for key in SCORES:
        for inner, value in () if content.get(key) is None else _leaves(content[key]):
            # The level `results` says nothing; `accuracy` is a name.
            name = inner if inner and key == "results" else "/".join(filter(None, (key, inner)))
            name = plain(name)
            shown.append((name, plain(_text(value))))
            number = _number(value)
            if number is not None:
                numbers[name] = number
    if not shown and content.get("accepted") is not True:
        raise ServerError(f"{place} answered JSON without {' or '.join(SCORES)}: {_said(answer)}")
    return Scores(tuple(shown), numbers)


def without_token(answer: Answer, token: str) -> Answer:
    """The answer without the token, which some servers repeat; JSON stays JSON.

    In JSON only texts are looked at, neither names nor numbers: a token may be a mere 2026.
    """

    def hidden(text: bytes) -> bytes:
        for written in (token.encode(), json.dumps(token)[1:-1].encode()):
            text = text.replace(written, b"(the token)")
        return text

    if not is_json(answer.body):
        return replace(answer, body=hidden(answer.body))
    body = _JSON_TEXT.sub(lambda of: of[0] if of[2] else hidden(of[1]), answer.body)
    return replace(answer, body=body)


def is_json(body: bytes) -> bool:
    """Whether an answer can be read as JSON."""
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return False
    return True


def plain(text: str) -> str:
    """A server's text on one line, without what would move a terminal's cursor, and not endless."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 3]}..."


def _leaves(value: object, name: str = "", level: int = 0) -> Iterator[tuple[str, object]]:
    """Every value in an answer that is no container, under the path that leads to it."""
    if level < _DEEPEST and isinstance(value, dict):
        parts = [(str(key), inner) for key, inner in value.items()]
    elif level < _DEEPEST and isinstance(value, list):
        parts = [(str(place), inner) for place, inner in enumerate(value)]
    else:
        yield name, value
        return
    for key, inner in parts:
        yield from _leaves(inner, f"{name}/{key}" if name else key, level + 1)


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return value if isinstance(value, str) else json.dumps(value)


def _number(value: object) -> float | None:
    """A finite number, also where a server writes it as text or with a percent sign."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    percent = isinstance(value, str) and value.rstrip().endswith("%")
    try:
        number = float(value.rstrip().removesuffix("%") if isinstance(value, str) else value)
    except (ValueError, OverflowError):
        return None
    number = number / 100 if percent else number
    return number if math.isfinite(number) else None


def _said(answer: Answer) -> str:
    """What a server wants to say: its JSON's message, its page's title, or its text."""
    text = answer.body.decode(errors="replace")
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        kind = answer.headers.get("content-type", "")
        if "html" in kind or text.lstrip()[:1] == "<":
            title = _TITLE.search(text)
            text = title[1] if title else _MARKUP.sub(" ", text)
            return f"a page that says {plain(unescape(text)) or 'nothing'!r}"
        return plain(text) or "nothing"
    if isinstance(content, dict):
        for key in _SAID:
            if content.get(key):
                return plain(_text(content[key]))
    return plain(json.dumps(content, ensure_ascii=False))
