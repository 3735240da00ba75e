"""Encounters: photos of one individual by one camera, each soon after the one before."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from outliers_bench.data.labels import present
from outliers_bench.data.photo_times import with_times
from outliers_bench.data.times import Times, is_days, parse_gap
from outliers_bench.types import CAMERA, ENCOUNTER, SITE, TIME, ImageSet

_log = logging.getLogger(__name__)


def with_encounters(
    parts: Sequence[ImageSet], gap: str, *, cache: Path, place: str
) -> list[ImageSet]:
    """Return the parts of a split with the column `encounter`.

    Parameters
    ----------
    parts : sequence of ImageSet
        With one reader; the column `time` is read from EXIF data if there is none. The column
        `camera` tells cameras apart, or else `site`.
    gap : str
        Time between two photos of an encounter, such as 10min; see `make_encounters`.
    cache, place
        See `photo_times.with_times`.

    Raises
    ------
    BenchError
        If no photo has a time.
    """
    option = f"data.encounter_gap={gap}"
    parts = with_times(parts, cache=cache, place=place, needed_by=option)
    times = np.concatenate([part.columns[TIME] for part in parts]).astype("M8[us]")
    longest = parse_gap(gap, "data.encounter_gap")
    if is_days(times) and longest < np.timedelta64(1, "D"):
        _log.warning(
            "%s: times are days without hours, so the photos of one day are one encounter", place
        )
    by = next((each for each in (CAMERA, SITE) if any(each in p.columns for p in parts)), "")
    cameras = [text for part in parts for text in _column(part, by)]
    labels = [text for part in parts for text in labels_of(part)]
    encounters = make_encounters(labels, cameras, times, longest)
    missing = int(np.isnat(times).sum())
    _log.warning(
        "%s: %s encounters of one label%s, each photo at most %s after the one before%s",
        *(place, f"{len(set(encounters.tolist()) - {''}):,}", f" and one {by}" if by else "", gap),
        f"; {missing:,} of {len(times):,} photos have no time and are in none" if missing else "",
    )
    ends = np.cumsum([len(part) for part in parts])[:-1]
    return [
        replace(part, columns={**part.columns, ENCOUNTER: values})
        for part, values in zip(parts, np.split(encounters, ends), strict=True)
    ]


def make_encounters(
    labels: Sequence[str], cameras: Sequence[str], times: Times, gap: np.timedelta64
) -> npt.NDArray[np.object_]:
    """Return the encounter of each photo; empty for a photo without a time.

    Photos of the same label and camera are one encounter as long as each is taken no more than
    `gap` after the one before; the whole may be longer. This is how camera-trap studies define
    independent events (O'Brien, Kinnaird & Wibisono 2003, with half an hour).

    Parameters
    ----------
    labels, cameras : sequence of str, length n
        Empty where unknown, which counts as one label or one camera.
    times : array of datetime64, shape (n,)
    gap : timedelta64

    Returns
    -------
    array of str (object), shape (n,)
        Label, camera and time of the first photo, which no two encounters share.

    Examples
    --------
    >>> minutes = np.array(["2023-06-01T12:00", "2023-06-01T12:08", "2023-06-01T12:20"], "M8[us]")
    >>> make_encounters(["lion"] * 3, [""] * 3, minutes, np.timedelta64(10, "m")).tolist()
    ['lion 2023-06-01 12:00:00', 'lion 2023-06-01 12:00:00', 'lion 2023-06-01 12:20:00']
    """
    _, label = np.unique(np.array(labels, np.object_), return_inverse=True)
    _, camera = np.unique(np.array(cameras, np.object_), return_inverse=True)
    encounters = np.full(len(times), "", np.object_)
    rows = np.lexsort((times, camera, label))
    rows = rows[~np.isnat(times[rows])]
    begins = np.ones(len(rows), np.bool_)
    begins[1:] = (
        (np.diff(label[rows]) != 0) | (np.diff(camera[rows]) != 0) | (np.diff(times[rows]) > gap)
    )
    firsts = rows[np.maximum.accumulate(np.where(begins, np.arange(len(rows)), 0))]
    starts = times.astype("M8[us]").tolist()
    for row, first in zip(rows.tolist(), firsts.tolist(), strict=True):
        words = (labels[first], cameras[first], starts[first].isoformat(sep=" "))
        encounters[row] = " ".join(word for word in words if word)
    return encounters


def labels_of(images: ImageSet) -> list[str]:
    """Return the class of each image; empty without labels."""
    if images.labels is None:
        return [""] * len(images)
    return [images.classes[label] for label in images.labels]


def texts_of(values: npt.NDArray[Any]) -> list[str]:
    """Return the values of a column as normalized texts; empty for missing ones.

    Whole numbers have no decimals: with missing values, tables keep them as floats.
    """
    # Times in nanoseconds would be integers, missing ones too.
    cells = (values.astype("M8[us]") if values.dtype.kind == "M" else values).tolist()
    if values.dtype.kind == "f":
        cells = [f"{cell:.0f}" if cell == cell // 1 else cell for cell in cells]
    return [present(str(cell)) for cell in cells]


def _column(images: ImageSet, name: str) -> list[str]:
    return texts_of(images.columns[name]) if name in images.columns else [""] * len(images)
