"""Clusters of queries: design effect, effective number of queries, smallest difference."""

import numpy as np
import pytest

from outliers_bench.evaluation import (
    Clusters,
    compare_with_best,
    design_effect,
    effective_queries,
    smallest_difference,
)
from outliers_bench.evaluation.clusters import smallest_number, standard_error, sum_clusters


def agreeing(rng, n_clusters, size, correlation):
    clusters = np.repeat(np.arange(n_clusters), size)
    shared, own = rng.normal(size=n_clusters), rng.normal(size=n_clusters * size)
    return np.sqrt(correlation) * shared[clusters] + np.sqrt(1 - correlation) * own, clusters


def test_clusters_are_numbered_from_0():
    assert Clusters("group", np.array([1, 0, 1])).n == 2
    assert Clusters("group", np.array([], int)).n == 0
    for ids in ([1, 2], [0, 2], [-1, 0], [[0]]):
        with pytest.raises(ValueError, match="clusters by group must be numbered"):
            Clusters("group", np.array(ids))


def test_sums_of_clusters_by_hand():
    values = np.array([[1.0, 2, 4, 8], [1, 1, 1, 1]])
    assert sum_clusters(values, np.array([5, 3, 5, 9])).tolist() == [[2, 5, 8], [1, 2, 1]]
    assert sum_clusters(values, None) is values


@pytest.mark.parametrize("correlation", [0, 0.3, 1])
def test_design_effect_is_that_of_kish(correlation):
    values, clusters = agreeing(np.random.default_rng(0), 4000, 5, correlation)
    expected = 1 + 4 * correlation
    assert design_effect(values, clusters=clusters) == pytest.approx(expected, rel=0.06)
    assert effective_queries(values, clusters=clusters) == pytest.approx(
        20_000 / expected, rel=0.06
    )


def test_design_effect_by_hand():
    # Mean 0.6; the clusters' residuals are 0.8, -1.2 and 0.4: 3/2 (0.64 + 1.44 + 0.16) = 3.36.
    # Single queries: 5/4 (3 x 0.16 + 2 x 0.36) = 1.5.
    values, clusters = np.array([1.0, 1, 0, 0, 1]), np.array([0, 0, 1, 1, 2])
    assert design_effect(values, clusters=clusters) == pytest.approx(3.36 / 1.5)
    assert standard_error(values, clusters=clusters) == pytest.approx(np.sqrt(3.36) / 5)


def test_design_effect_of_queries_is_1():
    rng = np.random.default_rng(0)
    values, weights = rng.random(30), rng.uniform(1, 3, 30)
    assert design_effect(values, weights=weights) == 1
    assert design_effect(values, clusters=rng.permutation(30), weights=weights) == pytest.approx(1)


def test_standard_error_is_the_spread_of_weighted_means():
    rng = np.random.default_rng(1)
    weights = rng.uniform(1, 3, 200)
    draws = [agreeing(rng, 50, 4, 0.5) for _ in range(400)]
    means = [np.average(values, weights=weights) for values, _ in draws]
    errors = [standard_error(v, clusters=c, weights=weights) for v, c in draws]
    assert np.mean(errors) == pytest.approx(np.std(means), rel=0.1)


def test_the_smallest_difference_is_found_in_four_of_five_samples():
    rng = np.random.default_rng(2)

    def draw():
        (first, clusters), (second, _) = (agreeing(rng, 30, 4, 0.5) for _ in range(2))
        return first, second, clusters

    pairs = [draw() for _ in range(500)]
    smallest = np.mean([smallest_difference(a, b, clusters=clusters) for a, b, clusters in pairs])
    found = []
    for a, b, clusters in pairs:
        compared = compare_with_best(
            np.stack([a + smallest, b]), clusters=clusters, permutations=300
        )
        found.append(compared.best == 0 and not compared.tied.all())
    assert np.mean(found) == pytest.approx(0.8, abs=0.06)
    # These runs fail independently, as the bound from one run alone assumes.
    alone = np.mean([smallest_difference(a, clusters=clusters) for a, _, clusters in pairs])
    assert alone == pytest.approx(smallest, rel=0.05)


def test_the_smallest_difference_by_hand():
    # Differences of 1 six times and 0 twice have a standard error of sqrt(3 / 14) / sqrt(8).
    first, second = np.array([1.0] * 7 + [0]), np.array([0.0] * 6 + [1, 0])
    quantiles = 2.36462 + 0.89603  # of t(7)
    assert smallest_difference(first, second) == pytest.approx(0.163663 * quantiles, 1e-4)
    assert smallest_difference(first) == pytest.approx(np.sqrt(2) * 0.125 * quantiles, 1e-4)


def test_too_few_clusters_for_any_test_show_no_difference():
    worst, n = np.zeros(1000), smallest_number(0.05)
    for differing in (n - 1, n):
        better = (np.arange(1000) < differing).astype(float)
        can_be_found = not compare_with_best(np.stack([better, worst])).tied.all()
        assert can_be_found == (differing == n)
        assert np.isnan(smallest_difference(better, worst)) != can_be_found
        clusters = np.arange(1000) % differing
        assert np.isnan(smallest_difference(better, clusters=clusters)) != can_be_found


def test_four_times_the_individuals_halve_the_smallest_difference():
    values, clusters = agreeing(np.random.default_rng(0), 50, 4, 0.5)
    many = np.tile(values, 4), np.concatenate([clusters + 50 * i for i in range(4)])
    ratio = smallest_difference(values, clusters=clusters) / smallest_difference(
        many[0], clusters=many[1]
    )
    assert ratio == pytest.approx(2, rel=0.05)


def test_what_cannot_be_estimated_is_not_a_number():
    ones, values = np.ones(6), np.arange(6) / 5
    one_cluster = np.zeros(6, int)
    assert np.isnan(design_effect(ones))
    assert np.isnan(design_effect(values, clusters=one_cluster))
    assert np.isnan(effective_queries(ones))
    assert np.isnan(smallest_difference(ones))
    assert np.isnan(smallest_difference(values, values))
    assert np.isnan(smallest_difference(values, clusters=one_cluster))
