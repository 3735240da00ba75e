"""Splits equal to those of wildlife-datasets 1.0.9, which were recorded for these tables."""

import hashlib
from collections import Counter

import numpy as np
import pytest

from outliers_bench.data.splits.by_value import MissingValues
from outliers_bench.data.splits.options import Setting
from tests.data.split_cases import images_of, labels_of, rows_of, split_images

EQUAL = np.repeat(np.arange(20), 10).tolist()  # 20 individuals of 10 photos


def sightings():
    """Return 30 individuals with 1 to 15 photos of 2018 to 2023, 7 of 255 without a time."""
    rng = np.random.default_rng(7)
    individuals = np.repeat(np.arange(30), rng.integers(1, 16, 30))
    n = len(individuals)
    days = rng.integers(0, 2000, n)
    same_day = rng.random(n) < 0.4
    for row in range(1, n):
        if same_day[row] and individuals[row] == individuals[row - 1]:
            days[row] = days[row - 1]
    minutes = rng.integers(0, 720, n).astype("m8[m]")
    times = np.datetime64("2018-03-01T06:00") + days.astype("m8[D]") + minutes
    times[rng.random(n) < 0.03] = np.datetime64("NaT", "m")
    order = rng.permutation(n)
    return images_of(individuals[order].tolist(), time=times[order])


def recorded_form(rows):
    text = ",".join(map(str, rows))
    return len(rows), hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


# Of their two parts, the first is our gallery, or our train if its date is given.
BY_TIME = {
    "TimeCutoffSplit(2021)": (
        {"gallery_until": "2021", "train": 0},
        {"train_until": "2021", "query": 0.3},
        (108, "0663e6b7d5305b51"),
        (140, "83cdf953af8eff2b"),
    ),
    "TimeProportionSplit(0.3)": (
        {"train": 0, "query": 0.7},
        None,
        (78, "8d52921b03e83af4"),
        (170, "1411285132bea1d7"),
    ),
    "TimeProportionSplit(0.5)": (
        {"train": 0, "query": 0.5},
        None,
        (132, "4bcf41bea3e00254"),
        (116, "476c6ee2a067adfa"),
    ),
    "TimeProportionSplit(0.8)": (
        {"train": 0, "query": 0.2},
        None,
        (197, "984e677332d74da2"),
        (51, "dcec1caa9038e761"),
    ),
}


@pytest.mark.parametrize(
    ("options", "with_train", "first", "second"), BY_TIME.values(), ids=BY_TIME
)
def test_by_time(options, with_train, first, second):
    by_time = {"split_by": "time", "missing_values": MissingValues.exclude}
    train, query, gallery = rows_of(split_images(sightings(), **by_time, **options))
    assert (train, recorded_form(gallery), recorded_form(query)) == ([], first, second)
    if with_train:
        train, query, gallery = rows_of(split_images(sightings(), **by_time, **with_train))
        assert recorded_form(train) == first
        assert recorded_form(sorted([*query, *gallery])) == second


def test_closed_set_has_as_many_photos_of_each_individual():
    images = sightings()
    split = split_images(images, train=0, query=0.4)
    counts = Counter(split.gallery.labels.tolist())
    # ClosedSetSplit(0.6)
    assert [counts[label] for label in range(30)] == [
        *(9, 6, 7, 8, 5, 7, 8, 2, 1, 3, 3, 8, 8, 1, 5),
        *(8, 1, 7, 1, 5, 8, 3, 4, 3, 7, 2, 9, 4, 5, 5),
    ]


def test_open_set_has_as_many_photos_of_each_individual():
    # OpenSetSplit(0.5, n_class_test=4): its share is of all photos, 0.625 of the known ones.
    split = split_images(
        images_of(EQUAL), setting=Setting.open_set, unknown=0.2, train=0, query=0.375
    )
    gallery, query = (
        sorted(Counter(part.labels.tolist()).values()) for part in (split.gallery, split.query)
    )
    assert gallery == [6] * 16
    assert query == [4] * 16 + [10] * 4


def test_disjoint_set_has_as_many_individuals():
    # DisjointSetSplit(ratio_class_test=0.3)
    train, query, gallery = labels_of(
        split_images(images_of(EQUAL), setting=Setting.disjoint_set, train=0.7)
    )
    assert (len(train), len(query | gallery), train & (query | gallery)) == (14, 6, set())
