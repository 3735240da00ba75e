"""Text tables: their encoding, separator and quotes, and rows that never lose a cell."""

from __future__ import annotations

import codecs
import csv
import logging
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from io import StringIO
from itertools import islice

from outliers_bench.errors import BenchError
from outliers_bench.runtime.visible_text import read_cell

SEPARATORS = (",", ";", "\t", "|")
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # begins with that of UTF-16
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_HEAD = 200  # bytes that show the encoding of a text without a mark
_EXCEL = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)
_UTF8_IN_LATIN = re.compile(rb"\xc3[\x80-\xbf]")  # the letters from À to ÿ
_NAMES = {"\t": "tab", ",": "comma", ";": "semicolon", "|": "pipe"}
UNNAMED = "Unnamed: 0"  # name of a first column without one, as in pandas
_INVISIBLE = "\ufeff\u200b\u200e\u200f\u2060"
csv.field_size_limit(2**27)  # cells of masks are long; an open quote is found anyway
_log = logging.getLogger(__name__)

Score = Callable[[Sequence[str]], int]


@dataclass(frozen=True)
class TextTable:
    """Cells of a text table.

    Parameters
    ----------
    header : list of str
        Names of the columns, without blanks around them.
    rows : list of list of str
        Cells as they are, as many in each row as the header has; empty rows are omitted.
    numbers : list of int
        Number of each row as a spreadsheet shows it; the header of a plain table is row 1.
    """

    header: list[str]
    rows: list[list[str]]
    numbers: list[int]


def decode_text(data: bytes, place: str) -> str:
    """Decode the bytes of a text table; `place` is its name in messages.

    UTF-8, UTF-16 and UTF-32, with or without a byte order mark. Bytes that are none of these are
    read as Windows-1252, and a warning says so. Raises `BenchError` if they are no text.
    """
    marked = [encoding for bom, encoding in _BOMS if data.startswith(bom)]
    encoding = marked[0] if marked else _guess_utf16(data[:_HEAD]) or "utf-8"
    if encoding == "utf-8" and b"\0" in data:
        raise BenchError(f"{place} is not a text table: it contains null characters")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        if encoding != "utf-8":
            raise BenchError(
                f"{place} is damaged: it begins as {encoding} text and is not"
            ) from None
        text = _decode_windows(data, error, place)
    if "\0" in text:
        raise BenchError(f"{place} is not a text table: it contains null characters")
    return text


def _guess_utf16(head: bytes) -> str | None:
    low, high = head[0::2].count(0), head[1::2].count(0)
    if max(low, high) * 4 < len(head) or min(low, high):
        return None
    return "utf-16-le" if high else "utf-16-be" if low else None


def _decode_windows(data: bytes, error: UnicodeDecodeError, place: str) -> str:
    try:
        text = data.decode("cp1252")
    except UnicodeDecodeError:
        raise BenchError(
            f"{place} is neither UTF-8 nor Windows-1252 text; save it as CSV UTF-8"
        ) from None
    line = text[: error.start].count("\n")
    shown = text.splitlines()[line].strip()
    if other := _UTF8_IN_LATIN.search(data):
        # One label would be two, as in a table to which another program appended rows.
        utf8 = text[: other.start()].count("\n") + 1
        raise BenchError(
            f"{place} mixes encodings: line {utf8} is UTF-8, and line {line + 1} ({shown!r}) is "
            "not; save it as CSV UTF-8"
        )
    _log.warning(
        "%s is not UTF-8; it is read as Windows-1252, so line %d is %r", place, line + 1, shown
    )
    return text


def parse_text(text: str, place: str, score: Score) -> TextTable:
    """Find the header and the separator of a text table, and return its cells.

    The separator is the one with which `score` of the header, a number of known columns, is
    largest; `sep=;` in a line before the header decides it. Lines before the header that begin
    with # are comments, and so are later ones that do not have as many cells as the header. A row
    that repeats the header is one.

    Raises
    ------
    BenchError
        If there is no header, a row has more or fewer cells than it, or a quote is not closed.
    """
    start, number, separator = _find_header(text, place, score)
    body = text[start:]
    separator = separator or _choose_separator(body, score)
    head, quote, blanks = _dialect(body, separator)
    header = [name.strip().strip(_INVISIBLE).strip() for name in head]
    least = len(header)
    while least and not header[least - 1]:
        least -= 1
    if not least:
        raise BenchError(f"{place} has no header; its first row must have the names of the columns")
    header = [name or UNNAMED.replace("0", str(at)) for at, name in enumerate(header)]
    rows, numbers = [], []
    records = _records(body, separator, quote, blanks=blanks)
    for at, cells in _numbered(records, number, place):
        row = cells
        if row == head or not any(map(str.strip, row)):
            continue  # also the header of another table, appended
        if len(row) != len(header):
            row = _fit(row, least, len(header))
        if len(row) != len(header):
            if row[0].startswith("#"):
                continue
            raise BenchError(
                f"{place}: row {at} has {len(row)} cells, and the header has {least} "
                f"(separator: {_NAMES.get(separator, separator)}); give every row as many, and "
                "quote cells that contain the separator"
            )
        if _contains_row(row, separator):
            raise BenchError(
                f"{place}: a quotation mark in row {at} is not closed there, and the rows below "
                "are in its cell; close it, or write a quotation mark in a cell twice"
            )
        rows.append(row)
        numbers.append(at)
    if least < len(header) and not any(any(row[least:]) for row in rows):
        return TextTable(header[:least], [row[:least] for row in rows], numbers)
    return TextTable(header, rows, numbers)


def _find_header(text: str, place: str, score: Score) -> tuple[int, int, str]:
    """Return position and row number of the header, and the separator if a line names it."""
    position = number = 0
    separator = ""
    for line in StringIO(text, newline=""):
        bare = line.strip().strip(_INVISIBLE)
        first = line.strip(f"\r\n{_INVISIBLE}")  # the separator may be a tab
        if not number and not separator and (named := _EXCEL.fullmatch(first)):
            separator = named[1]  # a spreadsheet does not show this line
        else:
            number += 1
            if bare.startswith("#"):
                names = bare.lstrip("# ")
                separators = separator or SEPARATORS
                if max(score(names.split(each)) for each in separators) > 1:
                    return position + line.index(names), number, separator
            elif bare:
                return position, number, separator
        position += len(line)
    raise BenchError(f"{place} is empty")


def _choose_separator(body: str, score: Score) -> str:
    def quality(separator: str) -> tuple[int, bool, int]:
        names, quote, blanks = _dialect(body, separator)
        try:
            rows = list(islice(_records(body, separator, quote, blanks=blanks), 2))
        except csv.Error:
            rows = []
        alike = len(rows) == 2 and len(rows[0]) == len(rows[1])
        return score([name.strip() for name in names]), alike, len(names)

    return max(SEPARATORS, key=quality)


def _dialect(body: str, separator: str) -> tuple[list[str], str, bool]:
    """Return the header, the quotation mark, and whether blanks follow the separator."""
    first = body.splitlines()[0] if body else ""
    blanks = f"{separator} " in first or f'{separator} "' in body
    quote = "'" if first.startswith("'") and first.rstrip().endswith("'") else '"'
    try:
        return next(_records(body, separator, quote, blanks=blanks)), quote, blanks
    except csv.Error:
        return first.split(separator), quote, blanks


def _records(body: str, separator: str, quote: str, *, blanks: bool) -> Iterator[list[str]]:
    lines = StringIO(body, newline="")
    rows = csv.reader(
        lines, delimiter=separator, quotechar=quote, skipinitialspace=blanks, strict=True
    )
    return ([read_cell(cell) for cell in row] for row in rows)


def _numbered(
    records: Iterator[list[str]], first: int, place: str
) -> Iterator[tuple[int, list[str]]]:
    number = first - 1
    try:
        for cells in records:
            number += 1
            yield number, cells
    except csv.Error as error:
        raise BenchError(
            f"{place}: row {number + 1} cannot be read ({error}); put quotes around a whole cell, "
            "and write a quotation mark in it twice"
        ) from None


def _fit(row: list[str], least: int, width: int) -> list[str]:
    """Drop empty cells at the end that the header does not have; add those of unnamed columns."""
    while len(row) > width and not row[-1].strip():
        row = row[:-1]
    return row + [""] * (width - len(row)) if len(row) >= least else row


def _contains_row(row: Sequence[str], separator: str) -> bool:
    """Check whether a line in a cell is the next row: it has a file where this row has one.

    Quotation marks of two rows may close each other, and all between them is one cell.
    """
    several = [(at, cell) for at, cell in enumerate(row) if "\n" in cell or "\r" in cell]
    for last, cell in several:
        for line in cell.splitlines()[1:]:
            cells = line.split(separator)
            if len(cells) > last and any(map(_is_like_file, cells, row)):
                return True
    return False


def _is_like_file(cell: str, file: str) -> bool:
    ending = os.path.splitext(file)[1]  # noqa: PTH122 - no path
    return ending[1:2].isalpha() and cell.strip('" ').endswith(ending)
