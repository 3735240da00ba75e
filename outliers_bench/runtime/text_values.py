"""Text on a command line: exactly what was typed, unless it is in quotes, a list, or `null`.

Hydra and YAML read `2023.10` as a number and `a: b` as a mapping, and OmegaConf replaces `${...}`.
An option that takes text is none of this. Quotes around a whole value are removed, so that a value
can have what would otherwise be read: commas between several values, `null`, or quotes.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import get_args, get_origin

from outliers_bench.errors import BenchError

_TEXT = r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\""""
QUOTED = re.compile(_TEXT, re.DOTALL)
_ELEMENT = re.compile(rf"\s*(?:({_TEXT})\s*|([^,]*))(?:(,)|\Z)", re.DOTALL)
_PLAIN = re.compile(r"(?:\.{0,2}/)?[A-Za-z_][\w./-]*", re.ASCII)
_NOT_PLAIN = ("true", "false", "null", "nan", "inf")  # nor in capitals


@dataclass(frozen=True)
class Text:
    """A text value, and whether it was typed in quotes."""

    value: str
    quoted: bool

    @classmethod
    def read(cls, typed: str) -> Text:
        """Read one value.

        Examples
        --------
        >>> Text.read("Anna's"), Text.read("'a, b'")
        (Text(value="Anna's", quoted=False), Text(value='a, b', quoted=True))
        """
        if QUOTED.fullmatch(typed) is None:
            return cls(typed, quoted=False)
        # Backslashes count only in front of a quote.
        inside = re.sub(
            rf"(\\+)({typed[0]}|\Z)", lambda run: "\\" * (len(run[1]) // 2) + run[2], typed[1:-1]
        )
        return cls(inside, quoted=True)

    def write(self) -> str:
        """Return the value in quotes: single ones if it was typed in quotes, double ones if not."""
        return quote(self.value, "'" if self.quoted else '"')


def quote(text: str, mark: str = "'") -> str:
    """Return text in quotes, unless it is a plain word or path."""
    if _PLAIN.fullmatch(text) and text.lower() not in _NOT_PLAIN:
        return text
    text = re.sub(rf"\\+(?={mark}|\Z)", lambda found: 2 * found[0], text)
    return mark + text.replace(mark, f"\\{mark}") + mark


def is_list(typed: str) -> bool:
    """Check whether a value is written as a list."""
    return typed.startswith("[") and typed.endswith("]")


def read_list(typed: str, option: str) -> list[Text]:
    """Read values that are separated by commas, with or without brackets around them.

    Raises `BenchError`, with the name of the option, if a value between two commas is empty.

    Examples
    --------
    >>> [text.value for text in read_list("[2023.10, 'a, b']", "data.name")]
    ['2023.10', 'a, b']
    """
    inside = typed[1:-1] if is_list(typed) else typed
    found: list[Text] = []
    position, more = 0, bool(inside.strip())
    while more:
        match = _ELEMENT.match(inside, position)
        assert match is not None  # noqa: S101 - every text matches
        quoted, bare, comma = match.groups()
        if quoted is None and not bare.strip():
            raise BenchError(f"{option}: a value between two commas is empty")
        found.append(Text.read(quoted if quoted is not None else bare.strip()))
        position, more = match.end(), comma is not None
    return found


def split_words(text: str) -> list[str]:
    r"""Split text at blanks outside of quotes, as a shell would; a backslash is itself.

    Raises `ValueError` if a quote is not closed.

    Examples
    --------
    >>> split_words(r"mobilenet weights='C:\my nets\x.h5'")
    ['mobilenet', 'weights=C:\\my nets\\x.h5']
    """
    words = shlex.shlex(text, posix=True)
    words.whitespace_split, words.commenters, words.escape = True, "", ""
    return list(words)


def is_text(type_hint: object) -> bool:
    """Check whether an option of this type takes text."""
    return type_hint in (str, str | None)


def is_text_list(type_hint: object) -> bool:
    """Check whether an option of this type takes a list of text."""
    kinds = [type_hint, *get_args(type_hint)]
    return any(get_origin(kind) is list and get_args(kind) == (str,) for kind in kinds)


def escape(text: str) -> str:
    r"""Return text that OmegaConf resolves to this one, without replacing `${...}` in it.

    Examples
    --------
    >>> print(escape("costs ${5}"))
    costs \${5}
    """
    return re.sub(r"(\\*)\$\{", lambda found: f"{found[1] * 2}\\${{", text)
