"""Splits by a column: all images with one value, such as a camera or a site, are in one part."""

from __future__ import annotations

import difflib
from dataclasses import replace
from enum import Enum
from typing import Any

import numpy as np
import numpy.typing as npt

from outliers_bench.data.components import connect, rows_by_value
from outliers_bench.data.labels import is_missing, normalize
from outliers_bench.data.splits.units import NO_PART, assign_units, sort_units
from outliers_bench.errors import BenchError
from outliers_bench.runtime.units import list_first
from outliers_bench.types import GROUP, TIME, BoolArray, ImageSet, IntArray, LeftOut


class MissingValues(Enum):
    """Handling of images without a value in the column that decides their part."""

    error = "error"
    """The run ends before the work."""
    exclude = "exclude"
    """They are excluded and counted."""
    single = "single"
    """Each has a value of its own. Not for times."""


def require_values(
    images: ImageSet, column: str, missing_values: MissingValues, *, name: str
) -> tuple[ImageSet, list[LeftOut]]:
    """Return the images that have a value in a column, and those that were excluded.

    Raises
    ------
    BenchError
        If there is no such column, values are missing and are to be errors, or the column `time`
        has no times.
    """
    if column not in images.columns:
        close = difflib.get_close_matches(column, images.columns, n=1)
        hint = f"did you mean {close[0]}? " if close else ""
        there = ", ".join(sorted(images.columns))
        raise BenchError(
            f"{name}: data.split_by={column}: {hint}"
            + (f"the columns are {there}" if there else "there are no columns")
            + "; give one, or random, or time"
        )
    values = images.columns[column]
    if column == TIME and values.dtype.kind != "M":
        raise BenchError(
            f"{name}: data.split_by=time needs dates and times in the column time, not "
            f"{values.dtype} such as {values[0]!r}"
        )
    missing = _is_missing(values)
    if not missing.any():
        return images, []
    rows = np.flatnonzero(missing)
    if missing_values is MissingValues.error:
        ways = "data.missing_values=exclude to exclude them"
        if column != TIME:
            ways += ", or data.missing_values=single to take each as a value of its own"
        raise BenchError(
            f"{name}: {len(rows):,} of {len(images):,} images have no {column} "
            f"({list_first([images.names[row] for row in rows])}), which data.split_by={column} "
            f"needs; use {ways}"
        )
    if missing_values is MissingValues.exclude:
        left_out = [LeftOut(images.names[row], "missing_value", f"no {column}") for row in rows]
        return images.take(np.flatnonzero(~missing)), left_out
    own = values.astype(np.object_)
    for row in rows:
        own[row] = f"~{images.digests[row].hex()}"
    return replace(images, columns={**images.columns, column: own}), []


def group_by(images: ImageSet, column: str) -> ImageSet:
    """Return the images with those of one value in one group, next to the groups there are."""
    values = images.columns[column]
    names = [str(value) for value in values.tolist()]
    if images.groups is not None:
        for rows in rows_by_value(connect(names, images.groups).tolist()):
            first = min(names[row] for row in rows)
            for row in rows:
                names[row] = first
    return replace(images, columns={**images.columns, GROUP: np.array(names, np.object_)})


def split_values(
    images: ImageSet, column: str, *, train: float, query: float, seed: int, name: str
) -> IntArray:
    """Split the values of a column, each with all its images and their groups, at random.

    Parameters
    ----------
    images : ImageSet
        Images with the column.
    column : str
    train, query : float
        Shares of the images, as near as whole values allow; see `split.SplitOptions`.
    seed : int
        Decides the order in which values are assigned, with the content of their images.
    name : str
        Name of the data set, for the message.

    Returns
    -------
    array of int64, shape (n,)
        Part of each image.

    Raises
    ------
    BenchError
        If there are fewer values than parts.
    """
    # One value in spite of blanks that cannot be seen; lists have no hash.
    values = [normalize(str(value)) for value in images.columns[column].tolist()]
    columns = [values, *([images.groups] if images.groups is not None else [])]
    units = sort_units(rows_by_value(connect(*columns).tolist()), images, seed)
    needed = 3 if train > 0 else 2
    if len(units) < needed:
        n = len(set(values))
        few = f"{n:,} value{'' if n == 1 else 's'} ({list_first(sorted(set(values)))})"
        if n > len(units):
            few += f", and groups connect them to {len(units)}"
        need = "train, query, and gallery need three" if train > 0 else "query and gallery need two"
        if len(units) == 2:
            need += "; use data.train=0 for the last two only"
        raise BenchError(f"{name}: data.split_by={column} has {few}; {need}")
    parts = np.full(len(images), NO_PART, np.int64)
    for part, chosen in assign_units(units, train=train, query=query):
        parts[[row for unit in chosen for row in unit]] = part
    return parts


def _is_missing(values: npt.NDArray[Any]) -> BoolArray:
    if values.dtype.kind in "mM":
        return np.asarray(np.isnat(values), np.bool_)
    if values.dtype.kind == "f":
        return np.asarray(np.isnan(values), np.bool_)
    if values.dtype.kind != "O":
        return np.zeros(len(values), np.bool_)
    return np.array(
        [value is None or is_missing(normalize(str(value))) for value in values], np.bool_
    )
