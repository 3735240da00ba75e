"""Columns of a table that describe the images, as arrays of NumPy's types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from outliers_bench.data.table import COLUMNS

if TYPE_CHECKING:
    import pandas as pd


def other_columns(frame: pd.DataFrame) -> dict[str, npt.NDArray[Any]]:
    """Return all columns except path, label, split and group.

    Returns
    -------
    dict of str to array, shape (n,)
        int64 and bool without missing values; float64; datetime64[ns], in UTC if there is a time
        zone, or [us] with times before 1678 or after 2261; `object` for texts, where a missing one
        is empty, for integers beyond int64, and for lists, which become tuples.
    """
    return {str(name): _to_array(frame[name]) for name in frame.columns if name not in COLUMNS}


def _to_array(column: pd.Series[Any]) -> npt.NDArray[Any]:
    from pandas.api import types

    if types.is_datetime64_any_dtype(column.dtype):
        return _to_times(column)
    missing = column.isna().to_numpy(dtype=np.bool_)
    if types.is_bool_dtype(column.dtype) and not missing.any():
        return column.to_numpy(dtype=np.bool_)
    is_huge = types.is_unsigned_integer_dtype(column.dtype) and column.max() >= 2**63
    if types.is_integer_dtype(column.dtype) and not missing.any() and not is_huge:
        return column.to_numpy(dtype=np.int64)
    is_number = types.is_numeric_dtype(column.dtype) and not types.is_bool_dtype(column.dtype)
    if is_number and not is_huge:
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    values = np.empty(len(column), dtype=np.object_)
    if types.infer_dtype(column, skipna=True) in ("string", "empty"):
        values[:] = column.where(~missing, "").tolist()
        return values
    for row, cell in enumerate(column):
        if isinstance(cell, list | np.ndarray):
            values[row] = tuple(_to_list(cell))
        else:
            values[row] = "" if missing[row] else cell
    return values


def _to_times(column: pd.Series[Any]) -> npt.NDArray[Any]:
    import pandas as pd

    times = pd.to_datetime(column, utc=True).dt.tz_localize(None)
    try:
        return times.dt.as_unit("ns").to_numpy("M8[ns]")
    except pd.errors.OutOfBoundsDatetime:  # such as 9999-12-31
        return times.dt.as_unit("us").to_numpy("M8[us]")


def _to_list(cell: list[Any] | npt.NDArray[Any]) -> list[Any]:
    """Return a list of Python's types; Parquet has arrays of arrays."""
    values = cell.tolist() if isinstance(cell, np.ndarray) else cell
    return [_to_list(value) if isinstance(value, np.ndarray) else value for value in values]
