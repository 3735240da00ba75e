"""Tables of images with the columns path, label, split and group under these names."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from outliers_bench.data.table import PARTS
from outliers_bench.data.tables.circumstances import read_circumstances
from outliers_bench.data.tables.columns import (
    NO_COLUMN,
    Columns,
    describe,
    find_columns,
    plain,
)
from outliers_bench.data.tables.parts import (
    names_parts,
    part_of,
    parts_of_flags,
    parts_of_train_flag,
    read_parts,
)
from outliers_bench.errors import BenchError
from outliers_bench.types import CROPPED_FROM

if TYPE_CHECKING:
    import pandas as pd

_log = logging.getLogger(__name__)


def standardize(
    frame: pd.DataFrame, given: Columns, place: str, *, needs_time: bool = False
) -> pd.DataFrame:
    """Rename the columns of a table to path, label, split and group.

    The columns time, camera, site and encounter are added where they have other names.

    Parameters
    ----------
    frame : pandas.DataFrame
        Its index has the number of each row in messages.
    given : Columns
        Names that the user gives.
    place : str
        Name of the table in messages.
    needs_time : bool
        See `read_circumstances`.

    Returns
    -------
    pandas.DataFrame
        `split` has the values of `parts.read_parts`. The other columns stay, one that is called
        `label` but is not the label as `other_label`, and the second of two that are called `note`
        as `note.1`.

    Raises
    ------
    BenchError
        If one of the four is missing, ambiguous or repeated, or a part is unclear.
    """
    names = [str(name) for name in frame.columns]
    repeated = {name for at, name in enumerate(names) if name in names[:at]}
    names = _number_repeated(names)
    frame = frame.set_axis(names, axis="columns")
    found = find_columns(names, given, place)
    if used := sorted(repeated & set(found.values())):
        raise BenchError(f"{place} has two columns {used[0]}; rename one of them")
    split = found.get("split", "split")
    if split != "split" and not given.split and not names_parts(cells_of(frame, split)):
        del found["split"]  # a set or a subset of something else
    if recognized := describe(found, given):
        _log.warning("%s: %s", place, recognized)
    circumstances = read_circumstances(frame, given, place, needs_time=needs_time)
    parts = _parts(frame, found.get("split"), given, place)
    renamed = {column: role for role, column in found.items()}
    reserved = (*vars(given), CROPPED_FROM)
    own = {role for role, column in circumstances.items() if column.name == role}
    others = {role: _other(role, names) for role in reserved if role not in {*renamed, *own}}
    # One column may have two roles, such as label and group.
    doubled = {role: frame[column] for role, column in found.items() if renamed[column] != role}
    frame = frame.rename(columns={**others, **renamed}).assign(**doubled, **circumstances)
    return frame if parts is None else frame.assign(split=parts)


def _number_repeated(names: Sequence[str]) -> list[str]:
    unique: list[str] = []
    for name in names:
        number = itertools.count(1)
        other = name
        while other in unique or (other != name and other in names):
            other = f"{name}.{next(number)}"
        unique.append(other)
    return unique


def _other(role: str, names: Sequence[str]) -> str:
    """Return a new name for a column that has the name of a role, and another meaning."""
    name = f"other_{role}"
    while name in names:
        name = f"other_{name}"
    return name


def cells_of(frame: pd.DataFrame, column: str) -> list[str]:
    """Return the cells of a column as text, missing ones as empty text."""
    missing = frame[column].isna()
    cells = zip(frame[column].tolist(), missing.tolist(), strict=True)
    return ["" if absent else str(cell) for cell, absent in cells]


def _parts(
    frame: pd.DataFrame, split: str | None, given: Columns, place: str
) -> Sequence[str] | None:
    """Return the part of each image; None if the benchmark splits them."""
    numbers: list[int] = frame.index.tolist()
    values = None if split is None else cells_of(frame, split)
    flags = {plain(name): name for name in frame.columns if given.split in (None, name)}
    is_clear = values is not None and {part_of(value) for value in values} <= set(PARTS)
    if not is_clear and (
        pair := [flags[each] for each in ("isquery", "isgallery") if each in flags]
    ):
        if not pair[1:]:
            raise BenchError(
                f"{place} has the column {pair[0]}, and not both is_query and is_gallery; add the "
                f"other, or ignore it with data.columns.split={NO_COLUMN}"
            )
        _log.warning("%s: split is the columns %s and %s", place, *pair)
        query, gallery = (cells_of(frame, name) for name in pair)
        return parts_of_flags((query, gallery), values, numbers, place)
    for name, is_train in (("istrain", True), ("istest", False)):
        if (column := flags.get(name)) is not None and split in (None, column):
            parts = parts_of_train_flag(
                cells_of(frame, column), numbers, place, column, is_train=is_train
            )
            if split is None and len(set(parts)) == 1:
                return None
            _log.warning("%s: split is the column %s", place, column)
            return parts
    return None if values is None or split is None else read_parts(values, numbers, place, split)
