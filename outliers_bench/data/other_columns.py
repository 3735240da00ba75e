"""Columns of a manifest that describe the images: from pandas or Arrow types to NumPy arrays."""

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
        zone; `object` for texts, where a missing one is empty, and for lists, which become tuples.
    """
    return {str(name): _to_array(frame[name]) for name in frame.columns if name not in COLUMNS}


def _to_array(column: pd.Series[Any]) -> npt.NDArray[Any]:
    from pandas.api import types

    missing = column.isna().to_numpy(dtype=np.bool_)
    if types.is_datetime64_any_dtype(column.dtype):
        times = [None if gone else cell for cell, gone in zip(column, missing, strict=True)]
        return _to_times(times)
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


def _to_times(times: list[Any]) -> npt.NDArray[np.datetime64]:
    import pandas as pd

    return pd.DatetimeIndex(pd.to_datetime(times, utc=True)).tz_localize(None).to_numpy("M8[ns]")
