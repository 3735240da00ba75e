"""Statistics of an evaluation: clusters, intervals, design effects."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outliers_bench.evaluation import confidence_intervals, evaluate
from outliers_bench.evaluation.statistics import (
    add_statistics,
    class_weights,
    name_scores,
    name_statistics,
)
from outliers_bench.types import Ranking
from tests.toys import toy_split

LABELS = [0] * 6 + [1] * 2 + [2]  # 0 and 2 are found, 1 is not; the last query has no match


def evaluated(**columns):
    split = toy_split(LABELS, [0, 0, 1, 1])
    arrays = {name: np.array(values, dtype=object) for name, values in columns.items()}
    split = replace(split, query=replace(split.query, columns=arrays))
    order = [[0, 1, 2, 3]] * 5 + [[2, 3, 0, 1]] + [[0, 2, 3, 1]] * 3
    ranking = Ranking(np.array(order), np.tile(np.float32([4, 3, 2, 1]), (9, 1)))
    evaluation = evaluate(ranking, split, k=[1])
    assert evaluation.per_query["hit_at_1"].tolist() == [1] * 5 + [0] * 3
    return split, evaluation


def test_intervals_and_design_effects_are_over_the_clusters():
    split, plain = evaluated(camera=["a"] * 5 + ["b", "c", "c", "d"])
    found = add_statistics(plain, split, cluster="camera", seed=3)
    assert found.clusters.unit == "camera"
    assert found.clusters.ids.tolist() == [0] * 5 + [1, 2, 2]
    expected = confidence_intervals(plain.per_query, seed=3, clusters=found.clusters.ids)
    assert expected
    for name, ends in expected.items():
        assert found.intervals[name] == pytest.approx(ends, abs=1e-12), name
    # Residuals 0.375 and -0.625: sums 1.875, -0.625 and -1.25 of three cameras, and eight queries.
    between = (1.875**2 + 0.625**2 + 1.25**2) * 3 / 2
    within = (5 * 0.375**2 + 3 * 0.625**2) * 8 / 7
    assert found.design_effects["hit_at_1"] == pytest.approx(between / within)
    narrow = add_statistics(plain, split, cluster="query", seed=3)
    assert narrow.intervals["hit_at_1"] == confidence_intervals(plain.per_query, seed=3)["hit_at_1"]
    assert narrow.intervals["hit_at_1"][0] > found.intervals["hit_at_1"][0]
    assert narrow.design_effects == {}
    assert narrow.smallest_differences["hit_at_1"] > 0
    assert "hit_at_1" not in found.smallest_differences, "of three cameras"


def test_class_balanced_means_have_intervals_of_their_own():
    split, plain = evaluated()
    found = add_statistics(plain, split)
    # 5 of 6 queries of class 0 and 0 of 2 of class 1.
    assert name_scores(found)["balanced/hit_at_1"] == pytest.approx(5 / 12)
    weights = class_weights(np.array(LABELS[:8]))
    expected = confidence_intervals(plain.per_query, seed=0, weights=weights)
    assert found.intervals["balanced/hit_at_1"] == expected["hit_at_1"]
    named = name_statistics(found)
    assert named["clusters"] == 8
    assert named["smallest_difference/hit_at_1"] == found.smallest_differences["hit_at_1"]


@given(st.lists(st.tuples(st.integers(0, 4), st.floats(0, 1)), min_size=1, max_size=30))
def test_weights_make_the_mean_over_classes(rows):
    labels, values = (np.array(column) for column in zip(*rows, strict=True))
    means = [values[labels == label].mean() for label in set(labels.tolist())]
    assert class_weights(labels) @ values == pytest.approx(np.mean(means))
