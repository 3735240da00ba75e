"""Files of embeddings that another program computed, read as plain data."""

from __future__ import annotations

import hashlib
import json
import posixpath
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from outliers_bench.data.image_files import describe_os_error
from outliers_bench.errors import BenchError
from outliers_bench.types import Embeddings, FloatArray, ImageSet, IntArray

if TYPE_CHECKING:
    import pandas as pd

SUFFIXES = (".parquet", ".csv", ".tsv", ".npz", ".npy")
_NAMES = ("path", "name")  # columns, and what else a table of images may have
_METADATA = ("label", "split", "group", "Unnamed: 0")  # the last is an index that pandas wrote
_SHOWN = 3
_MAX_IN_MEMORY = 2  # files in memory: a sweep reads its file once


@dataclass(frozen=True, eq=False)
class VectorTable:
    """Embeddings with their names.

    Parameters
    ----------
    place : str
        Name of the table in messages.
    names : tuple of str or None
        Name of the image of each row; None if the rows are in the order of the data source.
    matrix : array of float32, shape (n, d)
        The embeddings.

    Raises
    ------
    BenchError
        If the table is empty, a value is not finite, or a name is repeated.
    """

    place: str
    names: tuple[str, ...] | None
    matrix: FloatArray

    def __post_init__(self) -> None:
        if self.matrix.ndim != 2 or not self.matrix.size:
            raise BenchError(f"{self.place}: shape {self.matrix.shape} instead of (n, d)")
        if self.names is not None and len(self.names) != len(self.matrix):
            raise BenchError(
                f"{self.place}: {len(self.names)} names but {len(self.matrix)} vectors"
            )
        wrong = np.flatnonzero(~np.isfinite(self.matrix).all(axis=1))
        if wrong.size:
            row = int(wrong[0])
            which = f"row {row + 1}" if self.names is None else f"that of {self.names[row]}"
            raise BenchError(
                f"{self.place}: {wrong.size:,} vectors are not finite, {which} first; replace NaN "
                "and infinity, also in float32"
            )
        repeated = [name for name, n in Counter(self.names or ()).items() if n > 1]
        if repeated:
            raise BenchError(f"{self.place} has two vectors for {list_first(repeated)}")

    @cached_property
    def digest(self) -> str:
        """Digest (32 hex digits) of names and vectors."""
        content = hashlib.blake2b("\0".join(self.names or ()).encode(), digest_size=16)
        content.update(f"{self.matrix.shape}".encode())
        content.update(np.ascontiguousarray(self.matrix).data)
        return content.hexdigest()

    @property
    def by_order(self) -> bool:
        """True if the rows are in the order of the data source."""
        return self.names is None

    def rows(self, images: ImageSet) -> IntArray:
        """Return the row of each image; -1 without a vector.

        Names are paths relative to the folder of the data, or absolute.
        """
        reader: object = images.reader
        while hasattr(reader, "reader"):  # one that also makes thumbnails, for example
            reader = reader.reader
        if self.names is None:
            listed = getattr(reader, "listed", ())
            first = {name: row for row, name in reversed(list(enumerate(listed)))}
            return np.array([first.get(name, -1) for name in images.names], dtype=np.int64)
        known = self._row_of
        root = getattr(reader, "root", None)
        rows = [known.get(_normal(name), -1) for name in images.names]
        if root is not None and -1 in rows:
            pairs = zip(rows, images.names, strict=True)
            rows = [known.get(_normal(root / name), -1) if at < 0 else at for at, name in pairs]
        return np.array(rows, dtype=np.int64)

    def embeddings(self, images: ImageSet) -> Embeddings:
        """Return the embeddings of images that all have one."""
        return Embeddings(images, self.matrix[self.rows(images)])

    @cached_property
    def _row_of(self) -> dict[str, int]:
        return {_normal(name): row for row, name in enumerate(self.names or ())}


def read_vectors(path: Path, given: str) -> VectorTable:
    """Read a file of embeddings; the last files stay in memory until they change.

    Parameters
    ----------
    path : Path
        `.npy`: a matrix whose rows are in the order of the data source. `.npz`: arrays `names` and
        `embeddings`. `.parquet`, `.csv`, `.tsv`: see `table_of_frame`.
    given : str
        The option as given, for messages.

    Raises
    ------
    BenchError
        If the file cannot be read as one of these.
    """
    try:
        status = path.stat()
        return _read(path, given, (status.st_mtime_ns, status.st_size, status.st_ino))
    except OSError as error:
        raise BenchError(f"{given} cannot be read ({describe_os_error(error)})") from None
    except BenchError:
        raise
    except Exception as error:  # of a damaged file: NumPy, zipfile, zlib and Arrow raise almost any
        first = (str(error).splitlines() or [type(error).__name__])[0]
        if "pickle" in first:  # NumPy's guess about any file that it does not know
            first = "not an array of numbers, or damaged"
        raise BenchError(f"{given} cannot be read as {path.suffix}: {first}") from None


@lru_cache(_MAX_IN_MEMORY)
def _read(path: Path, given: str, state: tuple[int, ...]) -> VectorTable:  # noqa: ARG001
    suffix = path.suffix.lower()
    if suffix == ".npy":
        return VectorTable(given, None, to_matrix(np.load(path, allow_pickle=False), given))
    if suffix == ".npz":
        with np.load(path, allow_pickle=False) as arrays:
            if not {"names", "embeddings"} <= set(arrays):
                raise BenchError(
                    f"{given} has the arrays {', '.join(arrays) or 'none'}; needed: names, "
                    "embeddings"
                )
            names, matrix = arrays["names"], arrays["embeddings"]
        if names.ndim != 1 or names.dtype.kind not in "US":
            raise BenchError(f"{given}: names is {names.dtype} of shape {names.shape}, not text")
        return VectorTable(given, tuple(names.astype(str).tolist()), to_matrix(matrix, given))
    import pandas as pd

    if suffix == ".parquet":
        return table_of_frame(pd.read_parquet(path), given)
    separator = "\t" if suffix == ".tsv" else ","
    # Names such as NA and 007 are text.
    text = dict.fromkeys(_NAMES, str)
    frame = pd.read_csv(path, sep=separator, dtype=text, na_filter=False, encoding="utf-8-sig")
    return table_of_frame(frame, given)


def table_of_frame(frame: pd.DataFrame, place: str) -> VectorTable:
    """Return the embeddings in a table.

    Parameters
    ----------
    frame : pandas.DataFrame
        A column `path` or `name`, and the vector in one column of lists, or in all other columns
        except label, split and group.
    place : str
        Name of the table in messages.

    Raises
    ------
    BenchError
        If there is no such column, or a value is not a number.
    """
    key = next((name for name in _NAMES if name in frame), None)
    if key is None:
        columns = list_first(list(map(str, frame.columns)))
        raise BenchError(f"{place} has no column path or name; it has {columns}")
    values = frame.drop(columns=[name for name in (*_NAMES, *_METADATA) if name in frame])
    if not values.size:
        raise BenchError(f"{place} has no vectors: {len(frame)} rows, no columns besides {key}")
    if values.shape[1] == 1 and not _is_numeric(values.iloc[:, 0]):
        cells = values.iloc[:, 0].tolist()
        try:
            cells = [json.loads(c) if isinstance(c, str) else c for c in cells]
        except ValueError as error:
            raise BenchError(f"{place}: not all vectors are lists of numbers: {error}") from None
        matrix = _stack(cells, place)
    else:
        texts = [str(name) for name in values if not _is_numeric(values[name])]
        if texts:
            raise BenchError(
                f"{place}: not all values are numbers in {list_first(texts)}; give only path and "
                "the numbers of the vector, or one column of lists"
            )
        matrix = values.to_numpy()
    return VectorTable(place, tuple(map(str, frame[key].tolist())), to_matrix(matrix, place))


def to_matrix(values: npt.NDArray[Any], place: str) -> FloatArray:
    """Return a matrix of numbers as float32.

    Raises
    ------
    BenchError
        If it is not a matrix of real numbers.
    """
    if values.ndim != 2 or values.dtype.kind not in "fiu":
        raise BenchError(
            f"{place}: {values.dtype} of shape {values.shape}; give a matrix of numbers of shape "
            "(n, d), such as float32"
        )
    with np.errstate(over="ignore"):  # infinite values are refused with their names
        return np.ascontiguousarray(values, dtype=np.float32)


def _is_numeric(column: pd.Series[Any]) -> bool:
    return getattr(column.dtype, "kind", "O") in "fiu"


def _stack(cells: Sequence[Any], place: str) -> npt.NDArray[Any]:
    lengths = Counter(np.size(cell) for cell in cells)
    if len(lengths) > 1:
        raise BenchError(f"{place}: vectors of different lengths, {list_first(sorted(lengths))}")
    return np.array([np.asarray(cell) for cell in cells])


def _normal(name: str | Path) -> str:
    return posixpath.normpath(str(name).replace("\\", "/"))


def list_first(values: Sequence[object]) -> str:
    """List the first three values, and the number of the others."""
    more = f" and {len(values) - _SHOWN:,} more" if len(values) > _SHOWN else ""
    return ", ".join(map(str, values[:_SHOWN])) + more
