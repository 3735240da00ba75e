"""Manifests of a collection: `collected.csv` and `not_collected.csv`.

A row is appended in one write as soon as it is known. A kill can leave an incomplete last row. The
next run removes it, and requests the image again.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable
from io import StringIO
from pathlib import Path
from typing import NamedTuple

from outliers_bench.apps.collect.url_list import column_name
from outliers_bench.data.labels import normalize
from outliers_bench.errors import BenchError
from outliers_bench.runtime.visible_text import read_cell, write_csv

PART_SUFFIX = ".part"
COLLECTED_FILE = "collected.csv"
NOT_COLLECTED_FILE = "not_collected.csv"


class Row(NamedTuple):
    """A URL and its outcome; every cell is text, empty if unknown.

    Parameters
    ----------
    path : str
        The image, relative to the manifest, with forward slashes. For a duplicate, the image that
        is in the folder instead.
    url, final_url : str
        URL in the list, and after redirects.
    page : str
        Page on which the URL was found.
    time : str
        Time of the outcome, UTC, ISO 8601.
    bytes, width, height : str
        Size of the file; pixels after the EXIF orientation is applied.
    license : str
        License according to the list or the page.
    status : str
        `failures.COLLECTED`, or a key of `failures.OUTCOMES`.
    """

    path: str = ""
    label: str = ""
    url: str = ""
    final_url: str = ""
    page: str = ""
    time: str = ""
    sha256: str = ""
    bytes: str = ""
    width: str = ""
    height: str = ""
    license: str = ""
    status: str = ""
    reason: str = ""


_ONE_LINE = str.maketrans("\r\n", "  ")


class Manifest:
    """Append-only table of rows, in which the last row of a URL is valid.

    Parameters
    ----------
    path : Path
        The file; created with the first row.

    Raises
    ------
    BenchError
        If the file is another table.
    OSError
        If the file cannot be read or written; so do the methods.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows = {row.url: row for row in _read(path)}

    def add(self, row: Row) -> None:
        """Append a row and pass it to the operating system."""
        with self.path.open("ab") as file:
            file.write(_to_csv([row], header=file.tell() == 0))
        self.rows[row.url] = row

    def drop(self, urls: Iterable[str]) -> None:
        """Remove the rows of some URLs, and rewrite the file atomically with each URL once."""
        for url in urls:
            self.rows.pop(url, None)
        if self.rows:
            write_file(self.path, _to_csv(self.rows.values(), header=True))
        else:
            self.path.unlink(missing_ok=True)


def write_file(path: Path, data: bytes) -> None:
    """Write a file atomically; the next attempt overwrites what a kill has left."""
    partial = path.with_name(f".{path.name}{PART_SUFFIX}")
    partial.write_bytes(data)
    partial.replace(path)


def _to_csv(rows: Iterable[Row], *, header: bool) -> bytes:
    """Return rows as CSV. No cell contains a line break, so an incomplete row is recognizable."""
    text = StringIO()
    lines = ([cell.translate(_ONE_LINE) for cell in row] for row in rows)
    write_csv(text, [Row._fields] * header + [*lines], lineterminator="\n")
    return text.getvalue().encode(errors="replace")


def _read(path: Path) -> list[Row]:
    data = path.read_bytes() if path.exists() else b""
    complete = data[: data.rfind(b"\n") + 1]
    try:
        reader = csv.DictReader(StringIO(complete.decode("utf-8-sig"), newline=""))
        reader.fieldnames = [column_name(name) for name in reader.fieldnames or ()]
        missing = set(Row._fields) - set(reader.fieldnames)
        table = [] if missing else list(reader)
        rows = [Row(*(read_cell(cells[name] or "") for name in Row._fields)) for cells in table]
        rows = [row._replace(label=normalize(row.label)) for row in rows]
    except (ValueError, csv.Error) as error:
        raise BenchError(f"{path} cannot be read as a table: {error}") from None
    # A kill can leave an incomplete header.
    if missing and not _to_csv([], header=True).startswith(data):
        raise BenchError(
            f"{path} was not written by this command (it has no column {min(missing)}); move it "
            "away, or collect into=another folder"
        )
    if len(complete) < len(data):  # the last row is incomplete after a kill
        os.truncate(path, len(complete))
    return rows
