r"""Foreign text on screens and in tables: what acts on a terminal or spreadsheet is shown instead.

Names of files, labels and answers of servers come from strangers. Control characters and marks of
writing direction are shown as `\uXXXX`, which JSON reads as the same character. In a CSV file, text
that a spreadsheet would run as a formula has an apostrophe in front (OWASP, CSV Injection), which
`read_cell` removes. Numbers and line breaks inside of cells are as they were.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from typing import Any, TextIO

# Joiners (U+200C and U+200D) are needed to write Persian and Hindi.
_MARKS = "\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff"
_UNSAFE = re.compile(rf"[\0-\x08\x0b-\x1f\x7f-\x9f{_MARKS}]")
# Rich moves the cursor by ESC [ and returns to the start of a line; nothing else is needed.
_UNSAFE_ON_SCREEN = re.compile(
    rf"[\0-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f-\x9f{_MARKS}]|\x1b(?![\[])"
)
_FORMULA = re.compile(r"'*[=+\-@\t\uff1d\uff0b\uff0d\uff20]")
_ESCAPED = re.compile(r"'+[=+\-@\t\uff1d\uff0b\uff0d\uff20]")


def visible(text: str) -> str:
    r"""Return text in which control characters and marks of direction are shown.

    Tabs and line breaks remain.

    Examples
    --------
    >>> print(visible("lion\u202egpj.exe \x1b[2K"))
    lion\u202egpj.exe \u001b[2K
    """
    return _UNSAFE.sub(_show, text)


def visible_on_screen(text: str) -> str:
    """Return the output of a command as `visible` does, with the sequences of progress bars."""
    return _UNSAFE_ON_SCREEN.sub(_show, text)


def write_cell(value: object) -> object:
    """Return a cell that no spreadsheet runs; values that are not text as they are.

    Examples
    --------
    >>> [write_cell(value) for value in ("=1+1", "-0.5", -0.5, "'-a", "lion")]
    ["'=1+1", '-0.5', -0.5, "''-a", 'lion']
    """
    if not isinstance(value, str):
        return value
    text = visible(value)
    return text if _FORMULA.match(text) is None or _is_number(text) else f"'{text}"


def read_cell(text: str) -> str:
    """Return the text that `write_cell` was given, except that unsafe characters are shown.

    Examples
    --------
    >>> [read_cell(text) for text in ("'=1+1", "-0.5", "''-a", "'tis")]
    ['=1+1', '-0.5', "'-a", "'tis"]
    """
    return text[1:] if _ESCAPED.match(text) else text


def write_csv(
    file: TextIO, rows: Iterable[Iterable[object]], *, lineterminator: str = "\r\n"
) -> None:
    """Write rows, the header among them, to a CSV file that is opened with `newline=""`."""
    writer: Any = csv.writer(file, lineterminator=lineterminator)
    writer.writerows([write_cell(value) for value in row] for row in rows)


def read_csv(file: Iterable[str]) -> Iterable[list[str]]:
    """Read the rows of a CSV file of `write_csv`, or of an earlier version."""
    return ([read_cell(cell) for cell in row] for row in csv.reader(file))


def _show(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text.isascii() and text == text.strip()
