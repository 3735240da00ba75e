"""Open and disjoint sets: whole individuals, by content and seed, with their groups."""

import re

import numpy as np
import pytest

from outliers_bench.data.splits.options import Setting
from outliers_bench.errors import BenchError
from tests.data.split_cases import images_of, labels_of, rows_of, split_images

# 15 individuals of 1 to 9 photos.
SIZES = np.random.default_rng(3).integers(1, 10, 15)
LABELS = np.repeat(np.arange(15), SIZES).tolist()
OPEN, DISJOINT = Setting.open_set, Setting.disjoint_set


@pytest.mark.parametrize(("unknown", "n"), [(None, 3), (0.2, 3), (0.4, 6), (0.01, 1), (0.99, 14)])
def test_unknown_individuals_are_only_among_the_queries(unknown, n):
    images = images_of(LABELS)
    if n == 14:  # nothing is left to search
        with pytest.raises(BenchError, match=r"gallery: all images are of one class|no class has"):
            split_images(images, setting=OPEN, unknown=unknown)
        return
    split = split_images(images, setting=OPEN, unknown=unknown)
    train, query, gallery = labels_of(split)
    unknown_ones = query - gallery - train
    assert len(unknown_ones) == n
    of_unknown = [row for row, label in enumerate(LABELS) if label in unknown_ones]
    assert set(of_unknown) <= set(rows_of(split)[1])
    assert not split.left_out
    assert split.parts_from == (
        f"open set: {n} of 15 classes are unknown, with {len(of_unknown)} of {len(split.query)} "
        "queries"
    )
    for seed in range(4):  # whatever their sizes
        others = split_images(images, setting=OPEN, unknown=unknown, seed=seed)
        in_train, in_query, in_gallery = labels_of(others)
        assert len(in_query - in_gallery - in_train) == n
    # The others are split as in a closed set.
    closed = split_images(images)
    for part, rows in zip(rows_of(closed), rows_of(split), strict=True):
        known = {row for row in part if LABELS[row] not in unknown_ones}
        assert known == set(rows) - set(of_unknown)


@pytest.mark.parametrize("train", [0.2, 0.5, 0.7])
@pytest.mark.parametrize("seed", [0, 1])
def test_disjoint_individuals(train, seed):
    images = images_of(LABELS)
    split = split_images(images, setting=DISJOINT, train=train, seed=seed)
    in_train, in_query, in_gallery = labels_of(split)
    assert not in_train & (in_query | in_gallery)
    assert in_query <= in_gallery
    # As near to the share as whole individuals allow.
    assert abs(len(split.train) - train * len(LABELS)) <= SIZES.max() / 2
    # The others are split as by a run without train.
    others = images.take([row for row, label in enumerate(LABELS) if label not in in_train])
    expected = split_images(others, train=0, seed=seed)
    assert rows_of(split)[1:] == rows_of(expected)[1:]
    n = 15 - len(in_train)
    assert split.parts_from == (
        f"disjoint set: {15 - n} classes in train, {n} in query and gallery"
    )


@pytest.mark.parametrize("setting", [OPEN, DISJOINT])
def test_classes_are_drawn_by_content_and_seed(setting):
    images = images_of(LABELS)
    shuffled = images.take(np.random.default_rng(0).permutation(len(LABELS)))
    assert rows_of(split_images(images, setting=setting)) == rows_of(
        split_images(shuffled, setting=setting)
    )
    drawn = {str(rows_of(split_images(images, setting=setting, seed=seed))) for seed in range(5)}
    assert len(drawn) == 5


@pytest.mark.parametrize("setting", [OPEN, DISJOINT])
@pytest.mark.parametrize("seed", range(6))
def test_individuals_on_one_photo_are_drawn_together(setting, seed):
    # The last photo of individual 2 i and the first of 2 i + 1 are a group.
    labels = np.repeat(np.arange(12), 6).tolist()
    groups = [str(row + 1) if row % 12 == 5 else str(row) for row in range(72)]
    split = split_images(images_of(labels, group=groups), setting=setting, seed=seed)
    train, query, gallery = labels_of(split)
    chosen = query - gallery - train if setting is OPEN else train
    assert chosen == {label ^ 1 for label in chosen}
    in_parts = [set(getattr(split, part).groups) for part in ("train", "query", "gallery")]
    assert sum(map(len, in_parts)) == 66


def test_groups_that_connect_all_individuals():
    images = images_of([0, 0, 1, 1, 2, 2], group=["a", "b", "b", "c", "c", "d"])
    with pytest.raises(BenchError, match="open_set separates classes, and the groups connect all"):
        split_images(images, setting=OPEN)


def test_individuals_of_one_photo_leave_nothing_to_score():
    with pytest.raises(BenchError, match=re.escape("toy: no class has two images, one for query")):
        split_images(images_of(range(8)), setting=OPEN)
