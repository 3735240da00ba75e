"""Ways to tell which photos were taken together: encounters, times, and names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from outliers_bench.data.components import components
from outliers_bench.data.encounters import labels_of, make_encounters, texts_of
from outliers_bench.data.times import is_days
from outliers_bench.leakage.burst_looks import (
    compare_looks,
    look_alike,
    random_pairs_of_labels,
    sample_pairs,
)
from outliers_bench.types import CAMERA, ENCOUNTER, SITE, TIME, ImageSet, IntArray

GAP = "10min"
NUMBERED = r"(.*\D)\d+[^\d/]*\.\w+$"
"""Path of a numbered photo; its first group is what comes before the number."""
_NUMBER = re.compile(r"(?:.*\D)?(\d+)[^\d/]*(?:\.\w+)?$")
_FAR = 10  # numbers this far apart are of two bursts
_LINKED = 0.95  # consecutive photos are more alike than this share of others


class Burst(NamedTuple):
    """One way to tell which photos were taken together."""

    ids: IntArray  # shape (n,)
    evidence: str
    group: str = ""  # options that keep each burst in one part, if there are any
    exclude: str = ""  # options that exclude photos of the query's burst, if there are any


def _by_encounter(images: ImageSet, cache: Path) -> Burst | None:  # noqa: ARG001
    if ENCOUNTER not in images.columns:
        return None
    ids = _number_texts(texts_of(images.columns[ENCOUNTER]))
    exclude = f"data.exclude_same=[{ENCOUNTER}]"
    return Burst(ids, "column encounter", f"data.group={ENCOUNTER}", exclude)


def _by_time(images: ImageSet, cache: Path) -> Burst | None:
    times = images.columns.get(TIME)
    if times is None or times.dtype.kind != "M" or np.isnat(times).all():
        return None
    place = next((name for name in (CAMERA, SITE) if name in images.columns), None)
    places = texts_of(images.columns[place]) if place else [""] * len(images)
    times = times.astype("M8[us]")
    gap = np.timedelta64(10, "m")
    ids = _number_texts(make_encounters(labels_of(images), places, times, gap).tolist())
    option = f"data.encounter_gap={GAP}"
    exclude = f"{option} data.group=none data.exclude_same=[{ENCOUNTER}]"
    if not is_days(times):
        return Burst(ids, f"times at most {GAP} apart", option, exclude)
    # Many photos of a kind may have the same date by chance.
    return _if_alike(images, Burst(ids, "the same date", "data.group=date", exclude), cache)


def _by_name(images: ImageSet, cache: Path) -> Burst | None:
    pattern = re.compile(NUMBERED)
    matches = [pattern.match(name) for name in images.names]
    prefixes = ["" if match is None else match[1] for match in matches]
    if len(set(prefixes)) < 2:
        return None
    ids = _number_texts(prefixes)
    option = f"data.group='{NUMBERED}'"
    return _if_alike(images, Burst(ids, "names with the same beginning", option), cache)


def _if_alike(images: ImageSet, burst: Burst, cache: Path) -> Burst | None:
    """Return the bursts if their photos are more alike than others of the same label."""
    keys = _join(burst.ids, labels_of_set(images))
    order = np.argsort(keys, kind="stable")
    near = np.column_stack([order[:-1], order[1:]])[np.diff(keys[order]) == 0]
    far = random_pairs_of_labels(labels_of_set(images))
    far = far[keys[far[:, 0]] != keys[far[:, 1]]]
    near, far = sample_pairs(near), sample_pairs(far)
    both = compare_looks(images, np.concatenate([near, far]), cache=cache)
    return burst if look_alike(both[: len(near)], both[len(near) :]) else None


def _by_number(images: ImageSet, cache: Path) -> Burst | None:
    """Link photos with consecutive numbers that are more alike than those far apart."""
    matches = [_NUMBER.match(name) for name in images.names]
    numbered = np.array([row for row, match in enumerate(matches) if match], np.int64)
    if len(numbered) < 2:
        return None
    starts = [images.names[row][: match.start(1)] for row, match in enumerate(matches) if match]
    series = _join(_number_texts(starts), labels_of_set(images)[numbered])
    numbers = np.array([float(match[1]) for match in matches if match])
    order = np.lexsort((numbers, series))
    consecutive = (np.diff(series[order]) == 0) & (np.diff(numbers[order]) == 1)
    near = numbered[np.column_stack([order[:-1], order[1:]])[consecutive]]
    far = random_pairs_of_labels(labels_of_set(images)[numbered])
    apart = series[far[:, 0]] != series[far[:, 1]]
    apart |= np.abs(numbers[far[:, 0]] - numbers[far[:, 1]]) >= _FAR
    sample, far = sample_pairs(near), sample_pairs(numbered[far[apart]])
    both = compare_looks(images, np.concatenate([sample, far]), cache=cache)
    usual = both[len(sample) :]
    if not look_alike(both[: len(sample)], usual):
        return None
    linked = near[
        compare_looks(images, near, cache=cache) > np.quantile(usual[~np.isnan(usual)], _LINKED)
    ]
    return Burst(components(linked, len(images)), "consecutive numbers in the names")


def _number_texts(texts: Sequence[str]) -> IntArray:
    """Number texts; each empty one has its own number."""
    numbers: dict[object, int] = {}
    keys: Iterator[object] = (text or row for row, text in enumerate(texts))
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], np.int64)


def _join(one: IntArray, other: IntArray) -> IntArray:
    return one * (int(other.max(initial=0)) + 1) + other


def labels_of_set(images: ImageSet) -> IntArray:
    """Return the labels of images that have them, shape (n,)."""
    if images.labels is None:
        raise ValueError("bursts are of images with labels")
    return images.labels


FINDERS: tuple[Callable[[ImageSet, Path], Burst | None], ...] = (
    _by_encounter,
    _by_time,
    _by_name,
    _by_number,
)
