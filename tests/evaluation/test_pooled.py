"""Evaluation over the queries of several splits."""

import numpy as np
import pytest

from outliers_bench.evaluation.evaluate import evaluate
from outliers_bench.evaluation.pooled import pool_evaluations, spread
from outliers_bench.types import Ranking
from tests.toys import toy_split


def evaluation_of(query, hits):
    """Evaluate queries on a gallery of labels 0, 1, 2, ranked so that the first hit is given."""
    order = [[hit, *(at for at in range(3) if at != hit)] for hit in hits]
    scores = np.tile(np.array([3.0, 2.0, 1.0], np.float32), (len(query), 1))
    return evaluate(Ranking(np.array(order), scores), toy_split(query, [0, 1, 2]), k=[1])


def pool(clusters, unit="label"):
    evaluations = [evaluation_of([0, 1], [0, 0]), evaluation_of([0, 1, 2], [0, 1, 0])]
    labels = ["a", "b", "a", "b", "c"]
    return pool_evaluations(evaluations, labels=labels, clusters=clusters, unit=unit)


def test_scores_are_means_over_all_queries_and_classes():
    pooled = pool(["a", "b", "a", "b", "c"])
    assert pooled.per_query["hit_at_1"].tolist() == [1, 0, 1, 1, 0]
    assert pooled.metrics["hit_at_1"] == pytest.approx(3 / 5)
    assert pooled.balanced["hit_at_1"] == pytest.approx((1 + 0.5 + 0) / 3)
    assert pooled.per_class["a"]["queries"] == 2
    assert (pooled.clusters.unit, pooled.clusters.n) == ("label", 3)
    low, high = pooled.intervals["hit_at_1"]
    assert low < 3 / 5 < high


def test_a_photo_in_two_splits_is_one_cluster():
    once, twice = pool(["1", "2", "3", "4", "5"], "photo"), pool(["1", "2", "1", "2", "3"], "photo")
    assert (once.clusters.n, twice.clusters.n) == (5, 3)
    widths = [np.diff(each.intervals["hit_at_1"])[0] for each in (once, twice)]
    assert widths[0] < widths[1]


def test_the_spread_is_the_standard_deviation_between_splits():
    assert spread([0.2, 0.4, 0.9]) == pytest.approx(np.sqrt((0.3**2 + 0.1**2 + 0.4**2) / 2))
