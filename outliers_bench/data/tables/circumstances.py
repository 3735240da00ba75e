"""Columns that say when, where and in which encounter a photo was taken, checked and converted."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from outliers_bench.data.encounters import texts_of
from outliers_bench.data.tables.columns import (
    NO_COLUMN,
    Columns,
    describe,
    find_circumstances,
    plain,
)
from outliers_bench.data.times import NoTimeError, is_clock, parse_times
from outliers_bench.errors import BenchError
from outliers_bench.types import TIME

if TYPE_CHECKING:
    import pandas as pd

_DATES = ("date", "datecaptured", "capturedate", "datetaken")
_MIDNIGHT = re.compile(r"[T ]0?0:00(:00(\.0+)?)?$")  # of a day in a spreadsheet
_log = logging.getLogger(__name__)


def read_circumstances(
    frame: pd.DataFrame, given: Columns, place: str, *, needs_time: bool
) -> dict[str, pd.Series[Any]]:
    """Return the columns time, camera, site and encounter that a table has.

    Parameters
    ----------
    frame : pandas.DataFrame
        With the names of the user; its index has the number of each row in messages.
    given : Columns
        Names that the user gives.
    place : str
        Name of the table in messages.
    needs_time : bool
        Whether an option needs times. If none does, a column that was only recognized by its name
        and has other texts is not used, with a warning.

    Returns
    -------
    dict of str to pandas.Series
        `time` as datetime64; the others as texts, where a missing one is empty. Their names are
        those in the table.

    Raises
    ------
    BenchError
        If a given column does not exist, or has no times.
    """
    import pandas as pd

    names = [str(name) for name in frame.columns]
    found = find_circumstances(names, given, place)
    columns: dict[str, pd.Series[Any]] = {}
    for role, name in list(found.items()):
        if role != TIME:
            columns[role] = pd.Series(_texts(frame[name]), frame.index, object, name)
            continue
        try:
            columns[role] = _read_times(frame, name, place)
        except NoTimeError as error:
            problem = f"{place}: the column {name}, row {frame.index[error.row]}: {error}"
            if needs_time or given.time:
                raise BenchError(
                    f"{problem}; data.columns.time=<column> names another column"
                ) from None
            _log.warning(
                "%s; it is not used as times (data.columns.time=%s ignores it)", problem, NO_COLUMN
            )
            del found[role]
    if recognized := describe(found, given):
        _log.warning("%s: %s", place, recognized)
    return columns


def _texts(column: pd.Series[Any]) -> list[str]:
    values = column.astype(object).where(column.notna(), "").to_numpy(dtype=object)
    if column.dtype.kind == "f":
        values = column.to_numpy(dtype=np.float64)
    return texts_of(values)


def _read_times(frame: pd.DataFrame, name: str, place: str) -> pd.Series[Any]:
    """Return times as by `parse_times`; raise `NoTimeError` for other texts."""
    import pandas as pd
    from pandas.api.types import is_datetime64_any_dtype

    column = frame[name]
    if is_datetime64_any_dtype(column.dtype):
        clock = column.dt.tz_localize(None)
        utc = pd.to_datetime(column, utc=True).dt.tz_localize(None)
        return clock if (clock - utc).nunique() == 1 else utc
    texts = _texts(column)
    clocks: Sequence[bool] = [is_clock(text) for text in texts]
    dates = [each for each in frame.columns if plain(str(each)) in _DATES and each != name]
    if dates and all(clock or not text for clock, text in zip(clocks, texts, strict=True)):
        _log.warning("%s: time is the columns %s and %s", place, dates[0], name)
        days = [_MIDNIGHT.sub("", day) for day in _texts(frame[dates[0]])]
        # A photo with an hour and without a day has no time.
        texts = [
            f"{day} {clock}" if day and clock else ""
            for day, clock in zip(days, texts, strict=True)
        ]
    parsed = parse_times(texts)
    if parsed.order:
        _log.warning("%s: the column %s has %s", place, name, parsed.order)
    return pd.Series(parsed.values, frame.index, name=name)
