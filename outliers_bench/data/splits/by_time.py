"""Splits by time: earlier photos are searched with later ones."""

from __future__ import annotations

import re
from contextlib import suppress

import numpy as np

from outliers_bench.data.splits.units import GALLERY, NO_PART, QUERY, TRAIN, find_units
from outliers_bench.errors import BenchError
from outliers_bench.types import TIME, ImageSet, IntArray

Dates = tuple[np.datetime64 | None, np.datetime64 | None]
_DATE = re.compile(r"\d{4}(-\d\d(-\d\d([T ]\d\d:\d\d(:\d\d)?)?)?)?")


def parse_date(text: str, option: str) -> np.datetime64:
    """Read a date such as 2023, 2023-06, 2023-06-01 or 2023-06-01 12:30: its first moment.

    Raises
    ------
    BenchError
        If it is no date; the message names the option.
    """
    given = text.strip()
    with suppress(ValueError):  # such as a 13th month
        if _DATE.fullmatch(given):
            return np.datetime64(given, "s")
    raise BenchError(
        f"{option}={text}: give a date as in 2023-06-01, with a time as in 2023-06-01T12:30, or "
        "only 2023-06 or 2023"
    )


def split_by_dates(images: ImageSet, dates: Dates, *, train: float, query: float) -> IntArray:
    """Split images at dates, and at shares where there is no date.

    Photos taken before `train_until` are train, the others before `gallery_until` are gallery, and
    the rest are queries. Without one of the dates, its share decides, for each class and by time
    (`split_days`). A group has the time of its first photo.

    Parameters
    ----------
    images : ImageSet
        Labeled images with the column `time`.
    dates : tuple of datetime64 or None
        `train_until` and `gallery_until`, of which one may be None.
    train, query : float
        Shares of the days of each class that are train, or queries of the rest.

    Returns
    -------
    array of int64, shape (n,)
        Part of each image.

    References
    ----------
    `TimeCutoffSplit` of wildlife-datasets: V. Čermák et al., "WildlifeDatasets", WACV 2024.
    """
    train_until, gallery_until = dates
    times = images.columns[TIME].astype("M8[us]")  # nanoseconds end in 2262
    for _, unit in find_units(images):
        times[unit] = times[unit].min()
    parts = np.full(len(images), QUERY, np.int64)
    if gallery_until is not None:
        parts[times < gallery_until] = GALLERY
    if train_until is not None:
        parts[times < train_until] = TRAIN
    if gallery_until is None:
        rest = np.flatnonzero(parts != TRAIN)
        parts[rest] = split_days(images.take(rest), train=0, query=query)
    elif train_until is None and train > 0:
        early = np.flatnonzero(parts == GALLERY)
        parts[early] = _split_early(images.take(early), train=train)
    return parts


def split_days(images: ImageSet, *, train: float, query: float) -> IntArray:
    """Split each class by time: its first days are train, the next gallery, the last queries.

    Photos of one day are never separated, nor are those of a group, with all days between its first
    and its last. A class of one day goes to train, or to the gallery if there is no train.

    Parameters
    ----------
    images : ImageSet
        Labeled images with the column `time`.
    train : float
        Share of the days of each class, in [0, 1); at least two days remain.
    query : float
        Share of the remaining days that are queries, in (0, 1); at least one, and not all.

    Returns
    -------
    array of int64, shape (n,)
        Part of each image.

    References
    ----------
    `TimeProportionSplit` of wildlife-datasets, which has no train part of its own: K. Papafitsoros
    et al., "SeaTurtleID", 2022; V. Čermák et al., "WildlifeDatasets", WACV 2024.
    """
    parts = np.full(len(images), NO_PART, np.int64)
    for days in days_by_class(images):
        n = len(days)
        if n == 1:
            parts[days[0]] = TRAIN if train > 0 else GALLERY
            continue
        to_train = min(_share(train, n), n - 2)
        to_gallery = min(max(_share(1 - query, n - to_train), 1), n - to_train - 1)
        for number, rows in enumerate(days):
            is_gallery = number < to_train + to_gallery
            parts[rows] = TRAIN if number < to_train else GALLERY if is_gallery else QUERY
    return parts


def _split_early(images: ImageSet, *, train: float) -> IntArray:
    """Split each class into its first days, train, and the later ones, at least one: gallery."""
    parts = np.full(len(images), GALLERY, np.int64)
    for days in days_by_class(images):
        for rows in days[: min(_share(train, len(days)), len(days) - 1)]:
            parts[rows] = TRAIN
    return parts


def days_by_class(images: ImageSet) -> list[list[list[int]]]:
    """Return the rows of each day of each class, in the order of time; see `split_days`."""
    days = images.columns[TIME].astype("M8[D]").astype(np.int64)
    units = sorted(
        (label, int(days[unit].min()), int(days[unit].max()), unit)
        for label, unit in find_units(images)
    )
    classes: dict[int, list[list[int]]] = {}
    last_day = 0
    for label, first, last, unit in units:
        blocks = classes.setdefault(label, [])
        if blocks and first <= last_day:
            blocks[-1] += unit
            last_day = max(last_day, last)
        else:
            blocks.append(list(unit))
            last_day = last
    return list(classes.values())


def _share(share: float, n: int) -> int:
    return round(round(share * n, 9))  # halves to even, as wildlife-datasets
