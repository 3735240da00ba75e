"""`data=manifest`: a CSV or Parquet table of images."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from omegaconf import MISSING

from outliers_bench.data.image_files import absolute_path, existing_folder
from outliers_bench.data.source import Grouping, LabeledSource
from outliers_bench.data.split import Protocol
from outliers_bench.data.table import COLUMNS, PARTS, Row, Table, split_from_table
from outliers_bench.errors import BenchError
from outliers_bench.runtime.option_roles import PLACE
from outliers_bench.types import Split

if TYPE_CHECKING:
    import pandas as pd


@dataclass
class Manifest(LabeledSource):
    """A table with the columns path, label, and optionally split, group and others.

    The other columns describe the images; see `ImageSet.columns`. The options of `LabeledSource`
    apply to a table without `split`.

    Parameters
    ----------
    path : str
        The table: `.csv`, `.tsv`, or `.parquet`. The `split` column contains train, query, or
        gallery; without it the benchmark splits the images. Images with the same `group` stay in
        one part. With a `split` column, the labels of all query and gallery images may be missing:
        the images are then ranked but not scored.
    root : str or None
        Base of relative image paths; None for the table's folder.
    """

    path: str = field(default=MISSING, metadata=PLACE)
    root: str | None = field(default=None, metadata=PLACE)

    def default_name(self) -> str:
        """Return the file's name without its extension; see `DataSource.default_name`."""
        return "" if self.path == MISSING else Path(self.path).stem

    def load(self, *, seed: int, cache: Path, group: Grouping | None = None) -> Split:
        """Read the table and the images it names; see `DataSource.load`."""
        self.check()
        frame = self.read_frame()
        rows = _to_rows(frame, self.path)
        is_split = "split" in frame
        if is_split and self.protocol is Protocol.leave_one_out:
            raise BenchError(
                f"{self.path} has a column split, which data.protocol=leave_one_out would ignore; "
                "remove the column, or use data.protocol=query_gallery"
            )
        table = replace(self.read_images(rows, cache), columns=other_columns(frame))
        if is_split:
            return split_from_table(table, name=self.title())
        return self.make_split(table.images(), table.left_out, seed=seed, group=group)

    def read_frame(self) -> pd.DataFrame:
        """Read the table; cells of a text file stay text."""
        import pandas as pd

        file = absolute_path(self.path)
        if not file.is_file():
            raise BenchError(f"data.path={self.path}: there is no such file (looked for {file})")
        suffix = file.suffix.lower()
        try:
            if suffix == ".parquet":
                # Arrow types preserve integers in columns with empty cells.
                return pd.read_parquet(file, dtype_backend="pyarrow")
            if suffix in (".csv", ".tsv"):
                # "NA" and "007" are ordinary labels.
                return pd.read_csv(
                    file,
                    sep="\t" if suffix == ".tsv" else ",",
                    dtype=str,
                    keep_default_na=False,
                    encoding="utf-8-sig",
                )
        except (ValueError, OSError) as error:
            first = (str(error).splitlines() or [type(error).__name__])[0]
            raise BenchError(f"data.path={self.path} cannot be read as a table: {first}") from None
        raise BenchError(f"data.path={self.path}: give a table named .csv, .tsv or .parquet")

    def read_images(self, rows: list[Row], cache: Path) -> Table:
        """Compute the digests of the images; see `DataSource.read_table`."""
        folder = absolute_path(self.path).parent
        root = folder if self.root is None else existing_folder(self.root, "data.root")
        return self.read_table(rows, root, cache, of_table=True)


def _to_rows(frame: pd.DataFrame, given: str) -> list[Row]:
    """Check and return the rows; messages count them from 1, without the header."""
    import pandas as pd

    missing = [column for column in ("path", "label") if column not in frame]
    if missing:
        raise BenchError(
            f"{given} has no column {' and no column '.join(missing)}; it has "
            f"{', '.join(map(str, frame.columns)) or 'none'}. Needed: path, label. Optional: "
            "split, group"
        )
    if not len(frame):
        raise BenchError(f"{given} has no rows")
    repeated = frame.columns[frame.columns.duplicated()].tolist()
    if repeated:
        raise BenchError(f"{given} has two columns {repeated[0]}; rename one of them")
    columns = [
        ["" if pd.isna(cell) else str(cell) for cell in frame[column].tolist()]
        if column in frame
        else [""] * len(frame)
        for column in COLUMNS
    ]
    rows = []
    first_of_group: dict[str, tuple[int, str]] = {}
    for number, (path, label, part, group) in enumerate(zip(*columns, strict=True), start=1):
        if not path:
            raise BenchError(f"{given}: row {number} has no path")
        if "split" in frame and part not in PARTS:
            raise BenchError(
                f"{given}: split must be train, query, or gallery; in row {number} it is {part!r}"
            )
        row = Row(path, label, part, group, number - 1)
        rows.append(row)
        if row.group is None:
            continue
        first, part_of_group = first_of_group.setdefault(row.group, (number, part))
        if part != part_of_group:
            raise BenchError(
                f"{given}: group {row.group!r} is in {part_of_group} (row {first}) and in {part} "
                f"(row {number}); a group belongs in one part"
            )
    return rows


def other_columns(frame: pd.DataFrame) -> dict[str, npt.NDArray[Any]]:
    """Return all columns except path, label, split and group.

    Returns
    -------
    dict of str to array, shape (n,)
        int64 and bool without missing values; float64; datetime64[ns], in UTC if there is a time
        zone; `object` for texts, where a missing one is empty, and for lists, which become tuples.
    """
    return {str(name): _to_array(frame[name]) for name in frame.columns if name not in COLUMNS}


def _to_array(column: pd.Series[Any]) -> npt.NDArray[Any]:
    import pandas as pd
    from pandas.api import types

    if types.is_datetime64_any_dtype(column.dtype):
        return pd.to_datetime(column, utc=True).dt.tz_localize(None).to_numpy("M8[ns]")
    missing = column.isna().to_numpy(dtype=np.bool_)
    if types.is_bool_dtype(column.dtype) and not missing.any():
        return column.to_numpy(dtype=np.bool_)
    if types.is_integer_dtype(column.dtype) and not missing.any():
        return column.to_numpy(dtype=np.int64)
    if types.is_numeric_dtype(column.dtype) and not types.is_bool_dtype(column.dtype):
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    values = np.empty(len(column), dtype=np.object_)
    for row, cell in enumerate(column):
        is_list = isinstance(cell, list | np.ndarray)
        values[row] = tuple(cell) if is_list else "" if missing[row] else cell
    return values
