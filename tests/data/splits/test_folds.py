"""Cross-validation: every image, or group, is a query in one fold."""

from collections import Counter

import numpy as np
import pytest

from outliers_bench.data.split import make_split
from outliers_bench.data.splits.by_class import split_folds
from outliers_bench.data.splits.options import SplitOptions
from outliers_bench.data.splits.units import GALLERY, QUERY, TRAIN
from outliers_bench.errors import BenchError
from tests.data.test_split import make_images

FOLDS = 5


def parts_of(labels, groups=None, *, train=0.7, seed=0, folds=FOLDS):
    images = make_images(labels, groups)
    return np.array(
        [split_folds(images, fold, folds=folds, train=train, seed=seed) for fold in range(folds)]
    )


@pytest.mark.parametrize("seed", range(3))
def test_every_image_is_a_query_once_and_folds_are_equally_large(seed):
    labels = [0] * 20 + [1] * 7 + [2] * 2 + [3]
    parts = parts_of(labels, seed=seed)
    assert ((parts == QUERY).sum(axis=0) == 1).all()
    assert (parts == QUERY).sum(axis=1).tolist() == [6] * FOLDS
    for row in parts:
        query = {labels[at] for at in np.flatnonzero(row == QUERY)}
        gallery = {labels[at] for at in np.flatnonzero(row == GALLERY)}
        assert query - {3} <= gallery, "only the single image of class 3 cannot be found"


def test_the_share_of_train_is_that_of_the_other_images():
    parts = parts_of([0] * 50 + [1] * 50, train=0.7)
    for row in parts:
        assert Counter(row.tolist()) == {QUERY: 20, TRAIN: 56, GALLERY: 24}
    assert not (parts_of([0] * 10 + [1] * 10, train=0) == TRAIN).any()


def test_groups_stay_together():
    groups = [f"g{at // 3}" for at in range(30)]
    for row in parts_of([0] * 15 + [1] * 15, groups):
        for start in range(0, 30, 3):
            assert len(set(row[start : start + 3].tolist())) == 1


def test_a_fold_without_queries_is_refused():
    options = SplitOptions(folds=5, fold=4)
    with pytest.raises(BenchError, match=r"data\.folds=5: no query of fold 4 .* fewer folds"):
        make_split(make_images([0, 0, 1, 1]), options, name="toy", seed=0)
