"""Table files, read by what they contain: text, Parquet, Feather, JSON lines, compressed or not."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from outliers_bench.data.image_files import describe_os_error
from outliers_bench.data.tables.text import UNNAMED, Score, decode_text, parse_text
from outliers_bench.errors import BenchError

if TYPE_CHECKING:
    import pandas as pd

TABLES = (".csv", ".tsv", ".txt", ".csv.gz", ".parquet", ".feather", ".jsonl")
_UNPACK: dict[bytes, Callable[[bytes], bytes]] = {
    b"\x1f\x8b": gzip.decompress,
    b"BZh": bz2.decompress,
    b"\xfd7zXZ": lzma.decompress,
}
_AS_CSV = "save it as CSV UTF-8 and give that"
_REFUSED = {
    b"PK\x03\x04": f"an Excel or OpenDocument workbook, or another zip archive; {_AS_CSV}",
    b"\xd0\xcf\x11\xe0": f"an old Excel workbook (.xls); {_AS_CSV}",
    b"SQLite format 3": "an SQLite database; export the table as CSV and give that",
    b"RDX": "an R file; write the data frame with write.csv and give that",
    b"%PDF": "a PDF file; give a table",
    b"\x80": "a pickle or another binary file; write the DataFrame with to_csv or to_parquet",
    b"<": "a web page or XML; give a table",
    b"\x28\xb5\x2f\xfd": "compressed with zstd; unpack it",
    b"\x89HDF": "an HDF5 file; write the DataFrame with to_csv or to_parquet",
    b"\x89PNG": "an image; give a table of images",
    b"\xff\xd8\xff": "an image; give a table of images",
}


def read_table(path: Path, given: str, score: Score) -> pd.DataFrame:
    """Read a table; cells of a text file stay text.

    Parameters
    ----------
    path : Path
        The file. Its first bytes decide its kind, not its name.
    given : str
        Its name in messages.
    score : callable
        Number of known columns in a header; see `parse_text`.

    Returns
    -------
    pandas.DataFrame
        The index is the number of each row in messages: as a spreadsheet shows it in a text file,
        in which the header is row 1; from 1 in other files.

    Raises
    ------
    BenchError
        If the file is missing, damaged, of another kind, or has no rows.
    """
    try:
        data = path.read_bytes()
        for mark, unpack in _UNPACK.items():
            if data.startswith(mark):
                data = unpack(data)
    except IsADirectoryError:
        raise BenchError(f"{given} is a folder; give the table in it") from None
    except FileNotFoundError:
        raise BenchError(f"{given}: there is no such file (looked for {path})") from None
    except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile):
        raise BenchError(f"{given} cannot be unpacked: it is damaged") from None
    except OSError as error:
        raise BenchError(f"{given} cannot be read: {describe_os_error(error)}") from None
    for mark, kind in _REFUSED.items():
        if data.startswith(mark):
            raise BenchError(f"{given} cannot be read as a table: it is {kind}")
    frame = _parse(data, given, score)
    if not len(frame):
        raise BenchError(f"{given} has no rows")
    return frame


def _parse(data: bytes, given: str, score: Score) -> pd.DataFrame:
    import pandas as pd

    if data.startswith((b"PAR1", b"ARROW1", b"FEA1")):
        frame = _read_columns(data, given)
        frame.index = pd.RangeIndex(1, len(frame) + 1)
        return frame
    if data.lstrip(b"\xef\xbb\xbf \r\n\t").startswith((b"{", b"[")):
        return _parse_json_lines(decode_text(data, given), given)
    table = parse_text(decode_text(data, given), given, score)
    columns = dict(enumerate(zip(*table.rows, strict=True)))
    if table.header[0] == UNNAMED and _is_count(columns.get(0, ())):
        del columns[0]  # the index that pandas writes, or R
    cells = [pd.Series(column, index=table.numbers, dtype=object) for column in columns.values()]
    if not cells:
        return pd.DataFrame(columns=table.header)
    frame = pd.concat(cells, axis=1)
    frame.columns = pd.Index([table.header[at] for at in columns])
    return frame


def _is_count(cells: Sequence[str]) -> bool:
    return list(cells) in ([f"{start + at}" for at in range(len(cells))] for start in (0, 1))


def _read_columns(data: bytes, given: str) -> pd.DataFrame:
    from io import BytesIO

    import pandas as pd

    read: Any = pd.read_parquet if data.startswith(b"PAR1") else pd.read_feather
    try:
        # Arrow types preserve integers in columns with empty cells.
        frame: pd.DataFrame = read(BytesIO(data), dtype_backend="pyarrow")
        # An index with a name is a column of the user's.
        return frame.reset_index() if frame.index.names != [None] else frame
    except (ValueError, OSError, NotImplementedError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise BenchError(f"{given} cannot be read as a table: {first}") from None


def _parse_json_lines(text: str, given: str) -> pd.DataFrame:
    import pandas as pd

    rows: dict[int, dict[str, Any]] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise BenchError(
                f"{given} is not a table in JSON lines, one object per line: line {number}: {error}"
            ) from None
        if not isinstance(row, dict):
            raise BenchError(f"{given}: line {number} is not a JSON object with names of columns")
        rows[number] = row
    names = dict.fromkeys(name for row in rows.values() for name in row)
    return pd.DataFrame(
        {name: _typed([row.get(name) for row in rows.values()], list(rows)) for name in names}
    )


def _typed(values: list[Any], index: list[int]) -> pd.Series[Any]:
    """Return values of JSON as a column that keeps integers next to missing values."""
    import pandas as pd

    kinds = {type(value) for value in values if value is not None}
    dtype: Any = object
    if kinds == {bool}:
        dtype = "boolean"
    elif kinds == {int}:
        dtype = "Int64"
    elif kinds and kinds <= {int, float}:
        dtype = "Float64"
    column: pd.Series[Any] = pd.Series(values, index=index, dtype=dtype)
    return column
