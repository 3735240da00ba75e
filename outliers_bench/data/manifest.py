"""`data=manifest`: a CSV or Parquet table of images."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import MISSING

from outliers_bench.data.image_files import absolute_path, existing_folder
from outliers_bench.data.other_columns import other_columns
from outliers_bench.data.source import Grouping, LabeledSource
from outliers_bench.data.split import Protocol
from outliers_bench.data.table import COLUMNS, PARTS, Row, Table, read_table, split_from_table
from outliers_bench.errors import BenchError
from outliers_bench.runtime.option_roles import PLACE
from outliers_bench.types import Split

if TYPE_CHECKING:
    import pandas as pd

_READERS = {".csv": "read_csv", ".tsv": "read_csv", ".parquet": "read_parquet"}


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
        one part. With a `split` column, the labels of all query and gallery images may be empty:
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
        columns = _to_columns(frame, self.place)
        rows = _check_rows(columns, self.path)
        is_split = "split" in columns
        if is_split and self.protocol is Protocol.leave_one_out:
            raise BenchError(
                f"{self.path} has a column split, which data.protocol=leave_one_out would ignore; "
                "remove the column, or use data.protocol=query_gallery"
            )
        table = replace(self.read_images(rows, cache), columns=other_columns(frame))
        if is_split:
            return split_from_table(table, name=self.title())
        return self.make_split(table.images(), table.left_out, seed=seed, group=group)

    @property
    def place(self) -> str:
        """Name of the table in messages."""
        return f"data.path={self.path}"

    def read_frame(self) -> pd.DataFrame:
        """Read the table; cells of a text file stay text."""
        return _read(absolute_path(self.path), self.path)

    def read_images(self, rows: list[Row], cache: Path) -> Table:
        """Compute the digests of the images; see `read_table`."""
        folder = absolute_path(self.path).parent
        root = folder if self.root is None else existing_folder(self.root, "data.root")
        limit = self.max_unreadable
        return read_table(rows, root=root, cache=cache, max_unreadable=limit, of_table=True)


def _read(file: Path, given: str) -> pd.DataFrame:
    import pandas as pd

    if not file.is_file():
        raise BenchError(f"data.path={given}: there is no such file (looked for {file})")
    reader = _READERS.get(file.suffix.lower())
    if reader is None:
        raise BenchError(f"data.path={given}: give a table named .csv, .tsv or .parquet")
    try:
        if reader == "read_csv":
            # "NA" and "007" are ordinary labels.
            return pd.read_csv(
                file,
                sep="\t" if file.suffix.lower() == ".tsv" else ",",
                dtype=str,
                keep_default_na=False,
                encoding="utf-8-sig",
            )
        # Arrow types preserve integers in columns with empty cells.
        return pd.read_parquet(file, dtype_backend="pyarrow")
    except (ValueError, OSError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise BenchError(f"data.path={given} cannot be read as a table: {first}") from None


def _to_columns(frame: pd.DataFrame, place: str) -> dict[str, list[str]]:
    """Return the columns with every cell as text; a missing cell is empty."""
    import pandas as pd

    missing = [column for column in ("path", "label") if column not in frame]
    if missing:
        raise BenchError(
            f"{place} has no column {' and no column '.join(missing)}; it has "
            f"{', '.join(map(str, frame.columns)) or 'none'}. Needed: path, label. Optional: "
            "split, group"
        )
    if not len(frame):
        raise BenchError(f"{place} has no rows")
    repeated = frame.columns[frame.columns.duplicated()].tolist()
    if repeated:
        raise BenchError(f"{place} has two columns {repeated[0]}; rename one of them")
    present = [column for column in COLUMNS if column in frame]
    return {
        column: ["" if pd.isna(cell) else str(cell) for cell in frame[column].tolist()]
        for column in present
    }


def _check_rows(columns: dict[str, list[str]], given: str) -> list[Row]:
    """Check and return the rows. Rows are counted from 1, without the header."""
    paths, labels = columns["path"], columns["label"]
    parts = columns.get("split", [""] * len(paths))
    groups = columns.get("group", [""] * len(paths))

    empty = [row for row, path in enumerate(paths, 1) if not path]
    if empty:
        raise BenchError(f"{given}: row {empty[0]} has no path")
    if "split" in columns:
        wrong = [row for row, part in enumerate(parts, 1) if part not in PARTS]
        if wrong:
            shown = ", ".join(f"{row} ({parts[row - 1]!r})" for row in wrong[:5])
            more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
            raise BenchError(
                f"{given}: split must be train, query, or gallery; it is not in row {shown}{more}"
            )
    ranked = [label for label, part in zip(labels, parts, strict=True) if part in PARTS[1:]]
    rank_only = bool(ranked) and not any(ranked)
    for row, (label, part) in enumerate(zip(labels, parts, strict=True), 1):
        if not label and not (rank_only and part in PARTS[1:]):
            raise BenchError(
                f"{given}: row {row} ({paths[row - 1]}) has no label; labels may be empty only "
                "where the column split is query or gallery, and then for all of these rows"
            )
    _check_groups(groups, parts, given)
    return [
        Row(path, label or None, part, group or None, number)
        for number, (path, label, part, group) in enumerate(
            zip(paths, labels, parts, groups, strict=True)
        )
    ]


def _check_groups(groups: list[str], parts: list[str], given: str) -> None:
    first: dict[str, int] = {}
    for row, (group, part) in enumerate(zip(groups, parts, strict=True)):
        if group and parts[first.setdefault(group, row)] != part:
            other = first[group]
            raise BenchError(
                f"{given}: group {group!r} is in {parts[other]} (row {other + 1}) and in "
                f"{part} (row {row + 1}); a group belongs in one part"
            )
