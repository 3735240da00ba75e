"""Manifests of a collection: `collected.csv` and `not_collected.csv`.

A row is appended in one write as soon as it is known. A kill can leave an incomplete last row. The
next run removes it, and requests the image again.
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

from outliers_bench.data.image_files import describe_os_error
from outliers_bench.errors import BenchError

COLLECTED_FILE = "collected.csv"
NOT_COLLECTED_FILE = "not_collected.csv"


@dataclass(frozen=True)
class Row:
    """A URL and its outcome; every cell is text, empty if unknown.

    Parameters
    ----------
    path : str
        The image, relative to the manifest, with forward slashes. For a duplicate, the image that
        is in the folder instead.
    label : str
        Class of the image.
    url, final_url : str
        URL in the list, and after redirects.
    page : str
        Page on which the URL was found.
    time : str
        Time of the outcome, UTC, ISO 8601.
    sha256 : str
        Digest of the file.
    bytes, width, height : str
        Size of the file; pixels after the EXIF orientation is applied.
    license : str
        License according to the list or the page.
    status : str
        `failures.COLLECTED`, or a key of `failures.OUTCOMES`.
    reason : str
        Reason that the image is not collected.
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
    """Append-only table of rows, in which the last row of a URL is valid.

    Parameters
    ----------
    path : Path
        The file; created with the first row.

    Raises
    ------
    BenchError
        If the file is another table, or cannot be read or written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = -1
        self.rows = {row.url: row for row in _read(path)}

    def add(self, row: Row) -> None:
        """Append a row and pass it to the operating system.

        Raises
        ------
        BenchError
            If the row cannot be written; the table is then unchanged.
        """
        with explain_write_errors(self.path):
            if self._file < 0:
                self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
            end = os.fstat(self._file).st_size
            text = _to_csv([row], header=end == 0)
            # On a full disk, the next row would otherwise continue an incomplete one.
            if os.write(self._file, text) < len(text):
                os.ftruncate(self._file, end)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
        self.rows[row.url] = row

    def drop(self, urls: Iterable[str]) -> None:
        """Remove the rows of some URLs, and rewrite the file atomically with each URL once."""
        for url in urls:
            self.rows.pop(url, None)
        self.close()
        with explain_write_errors(self.path):
            if not self.rows:
                self.path.unlink(missing_ok=True)
                return
            partial = self.path.with_name(f".{self.path.name}.part")
            partial.write_bytes(_to_csv(self.rows.values(), header=True))
            partial.replace(self.path)

    def close(self) -> None:
        """Close the file; `add` opens it again."""
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
def explain_write_errors(path: Path) -> Iterator[None]:
    """Raise an `OSError` of the block as a one-line `BenchError`."""
    try:
        yield
    except OSError as error:
        raise BenchError(
            f"{error.filename or path}: {describe_os_error(error)}; fix this, "
            "then run the same command again to continue"
        ) from None


def _to_csv(rows: Iterable[Row], *, header: bool) -> bytes:
    """Return rows as CSV. No cell contains a line break, so an incomplete row is recognizable."""
    text = StringIO()
    writer = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
    if header:
        writer.writeheader()
    for row in rows:
        writer.writerow({name: cell.translate(_ONE_LINE) for name, cell in asdict(row).items()})
    return text.getvalue().encode(errors="replace")


def _read(path: Path) -> list[Row]:
    try:
        data = path.read_bytes() if path.exists() else b""
    except OSError as error:
        raise BenchError(f"{path}: {describe_os_error(error)}") from None
    complete = data[: data.rfind(b"\n") + 1]
    try:
        reader = csv.DictReader(StringIO(complete.decode("utf-8-sig"), newline=""))
        # Earlier versions had the British spelling.
        reader.fieldnames = [re.sub("licen[cs]e", "license", n) for n in reader.fieldnames or ()]
        missing = set(_COLUMNS) - set(reader.fieldnames)
        rows = (
            []
            if missing
            else [Row(**{name: row[name] or "" for name in _COLUMNS}) for row in reader]
        )
    except (ValueError, csv.Error) as error:
        raise BenchError(f"{path} cannot be read as a table: {error}") from None
    # A kill can leave an incomplete header.
    if missing and not _to_csv([], header=True).startswith(data):
        raise BenchError(
            f"{path} was not written by this command (it has no column {min(missing)}); move it "
            "away, or collect into=another folder"
        )
    if len(complete) < len(data):  # the last row is incomplete after a kill
        with explain_write_errors(path):
            os.truncate(path, len(complete))
    return rows
