"""Tables of images with the columns path, label, split and group under these names."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from outliers_bench.data.tables.columns import Columns, describe, find_columns, plain
from outliers_bench.data.tables.parts import (
    names_parts,
    parts_of_flags,
    parts_of_train_flag,
    read_parts,
)
from outliers_bench.errors import BenchError

if TYPE_CHECKING:
    import pandas as pd

_log = logging.getLogger(__name__)


def standardize(frame: pd.DataFrame, given: Columns, place: str) -> pd.DataFrame:
    """Rename the columns of a table to path, label, split and group.

    Parameters
    ----------
    frame : pandas.DataFrame
        Its index has the number of each row in messages.
    given : Columns
        Names that the user gives.
    place : str
        Name of the table in messages.

    Returns
    -------
    pandas.DataFrame
        `split` has the values of `parts.read_parts`. The other columns stay, one that is called
        `label` but is not the label as `other_label`.

    Raises
    ------
    BenchError
        If a column is missing, ambiguous or repeated, or a part is unclear.
    """
    names = [str(name) for name in frame.columns]
    frame = frame.set_axis(names, axis="columns")
    repeated = [name for at, name in enumerate(names) if name in names[:at]]
    if repeated:
        raise BenchError(f"{place} has two columns {repeated[0]}; rename one of them")
    found = find_columns(names, given, place)
    split = found.get("split", "split")
    if split != "split" and not given.split and not names_parts(cells_of(frame, split)):
        del found["split"]  # a set or a subset of something else
    if recognized := describe(found, given):
        _log.warning("%s: %s", place, recognized)
    parts = _parts(frame, found.get("split"), given, place)
    renamed = {column: role for role, column in found.items()}
    others = {role: _other(role, names) for role in vars(given) if role not in renamed}
    # One column may have two roles, such as label and group.
    doubled = {role: frame[column] for role, column in found.items() if renamed[column] != role}
    frame = frame.rename(columns={**others, **renamed}).assign(**doubled)
    return frame if parts is None else frame.assign(split=parts)


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
    flags = {plain(name): name for name in frame.columns if given.split is None}
    if "isquery" in flags and "isgallery" in flags:
        pair = cells_of(frame, flags["isquery"]), cells_of(frame, flags["isgallery"])
        return parts_of_flags(pair, values, numbers, place)
    if values is not None and split is not None:
        return read_parts(values, numbers, place, split)
    for name, is_train in (("istrain", True), ("istest", False)):
        if name in flags:
            column = flags[name]
            return parts_of_train_flag(
                cells_of(frame, column), numbers, place, column, is_train=is_train
            )
    return None
