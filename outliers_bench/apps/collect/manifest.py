"""Where each image came from: `collected.csv`, and `not_collected.csv` for what is not there.

A row is appended in one write the moment it is known. A kill can leave half a row at the end,
which the next start cuts off; the image that it told of is asked for again.
"""

from __future__ import annotations

import csv
import errno
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from io import StringIO
from pathlib import Path
from types import TracebackType
from typing import Self

from outliers_bench.data.image_files import reason
from outliers_bench.errors import BenchError

COLLECTED = "collected.csv"
NOT_COLLECTED = "not_collected.csv"


@dataclass(frozen=True)
class Row:
    """One URL and what became of it; every cell is text, empty where there is nothing to say.

    Parameters
    ----------
    path : str
        The image, relative to the manifest, with forward slashes. Of an image that was there under
        another URL, that one's.
    label : str
        What it shows.
    url, final_url : str
        As listed, and after redirects.
    page : str
        On which page the URL was found.
    time : str
        When, in UTC, ISO 8601.
    sha256 : str
        Of the file.
    bytes, width, height : str
        Its size, and pixels, upright.
    license : str
        As listed, or as the page says.
    status : str
        `kept`, or a name in `outcome.OUTCOMES`.
    reason : str
        Why it is not kept.
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


_COLUMNS = [field.name for field in fields(Row)]
_ONE_LINE = str.maketrans("\r\n", "  ")


class Manifest:
    """One table of rows, the last one of a URL being the one that counts.

    Parameters
    ----------
    path : Path
        The file; made when the first row is added.

    Raises
    ------
    BenchError
        If the file is there and is another table, or cannot be read or written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = -1
        self.rows = {row.url: row for row in _read(path)}

    def add(self, row: Row) -> None:
        """Append a row; it is with the operating system when this returns.

        Raises
        ------
        BenchError
            If it cannot be written; then the table is what it was.
        """
        with writing(self.path):
            if self._file < 0:
                self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
            end = os.fstat(self._file).st_size
            text = _text([row], heading=end == 0)
            if os.write(self._file, text) < len(
                text
            ):  # no more room: the next row would go on here
                os.ftruncate(self._file, end)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
        self.rows[row.url] = row

    def drop(self, urls: Iterable[str]) -> None:
        """Forget the rows of some URLs, and write the table anew, each URL once, in one step."""
        for url in urls:
            self.rows.pop(url, None)
        self.close()
        with writing(self.path):
            if not self.rows:
                self.path.unlink(missing_ok=True)
                return
            beside = self.path.with_name(f".{self.path.name}.part")
            beside.write_bytes(_text(self.rows.values(), heading=True))
            beside.replace(self.path)

    def close(self) -> None:
        """Close the file; the next row opens it again."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Tell on one line, as a `BenchError`, what keeps a file from being written."""
    try:
        yield
    except OSError as error:
        raise BenchError(
            f"{error.filename or path}: {reason(error)}; make room or mend it, then give the same "
            "command again, which goes on from there"
        ) from None


def _text(rows: Iterable[Row], *, heading: bool) -> bytes:
    """Rows as CSV. No cell has a line break, so that half a row can be told from a whole one."""
    text = StringIO()
    writer = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
    if heading:
        writer.writeheader()
    for row in rows:
        writer.writerow({name: cell.translate(_ONE_LINE) for name, cell in asdict(row).items()})
    return text.getvalue().encode(errors="replace")


def _read(path: Path) -> list[Row]:
    try:
        data = path.read_bytes() if path.exists() else b""
    except OSError as error:
        raise BenchError(f"{path}: {reason(error)}") from None
    whole = data[: data.rfind(b"\n") + 1]
    try:
        reader = csv.DictReader(StringIO(whole.decode("utf-8-sig"), newline=""))
        # Earlier versions wrote the column in British spelling.
        reader.fieldnames = [re.sub("licen.e", "license", name) for name in reader.fieldnames or ()]
        missing = set(_COLUMNS) - set(reader.fieldnames)
        rows = (
            []
            if missing
            else [Row(**{name: row[name] or "" for name in _COLUMNS}) for row in reader]
        )
    except (ValueError, csv.Error) as error:
        raise BenchError(f"{path} cannot be read as a table: {error}") from None
    if missing and not (_text([], heading=True).startswith(data)):  # a heading that a kill cut off
        raise BenchError(
            f"{path} was not written by this command (it has no column {min(missing)}); move it "
            "away, or collect into=another folder"
        )
    if len(whole) < len(data):  # a row that a kill cut off
        with writing(path):
            os.truncate(path, len(whole))
    return rows
