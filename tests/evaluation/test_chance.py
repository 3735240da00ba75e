"""Chance levels: means over every order of tiny galleries."""

from itertools import combinations

import numpy as np
import pytest

from outliers_bench.evaluation.metrics import METRICS, expected_by_chance
from outliers_bench.evaluation.scored import Scored

K = [1, 2, 3, 7, 9]


def all_orders(total, available):
    """Return `relevant` for every set of ranks that the relevant images can have."""
    ranks = [list(each) for each in combinations(range(available), total)]
    relevant = np.zeros((len(ranks), available), dtype=bool)
    np.put_along_axis(relevant, np.array(ranks), True, axis=1)
    return relevant


@pytest.mark.parametrize(
    ("total", "available"), [(1, 1), (1, 6), (2, 7), (3, 8), (5, 7), (6, 6), (4, 11)]
)
def test_mean_over_all_orders(total, available):
    relevant = all_orders(total, available)
    n = len(relevant)
    scored = Scored(relevant, np.full(n, total), np.zeros(n, int), np.where(relevant, 0, 1))
    expected = {
        name: values.mean() for metric in METRICS for name, values in metric.values(scored, K)
    }
    chance = expected_by_chance(np.array([total]), np.array([available]), K)
    assert chance.keys() == expected.keys(), "every metric has a chance level"
    for name, value in expected.items():
        assert chance[name] == pytest.approx(value, abs=1e-12), name


def test_mean_over_queries():
    pairs = [(1, 6), (1, 6), (3, 8), (3, 30), (3, 11), (1, 9)]  # as with junk of a camera
    alone = [expected_by_chance(np.array([r]), np.array([n]), [2]) for r, n in pairs]
    together = expected_by_chance(*np.array(pairs).T, [2])
    for name, value in together.items():
        assert value == pytest.approx(np.mean([each[name] for each in alone]), abs=1e-12), name


def test_a_large_gallery():
    """No overflow with 46,000 relevant of 62,000, and the rarest class has the value by hand."""
    chance = expected_by_chance(np.array([46_000]), np.array([62_000]), [10])
    share = 46 / 62
    assert chance["precision_at_10"] == pytest.approx(share)
    assert chance["map"] == pytest.approx(share, abs=1e-4)
    assert chance["minp"] == pytest.approx(share, abs=1e-4), "the last one is almost surely last"
    assert 0.999 < chance["hit_at_10"] < 1
    one = expected_by_chance(np.array([1]), np.array([62_000]), [10])
    harmonic = np.log(62_000) + np.euler_gamma + 1 / 124_000
    for name in ("mrr", "map", "minp"):
        assert one[name] == pytest.approx(harmonic / 62_000, rel=1e-9), name
