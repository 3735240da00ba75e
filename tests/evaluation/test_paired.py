"""Paired permutation tests: false positives, power, exact p-values, whole clusters, many runs."""

from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outliers_bench.evaluation import compare_with_best, paired
from outliers_bench.evaluation.intervals import bootstrap


def two_runs(rng, n, *, gain=0.0):
    """Create two runs with common difficulty per query; the first is better by `gain`."""
    values = rng.random(n) * 0.6 + rng.random((2, n)) * 0.3
    values[0] += gain
    return values


def false_positives(sets, draw):
    """Fraction of sets of equally good runs of which one is called worse than the best."""
    compared = [compare_with_best(**draw(), seed=i, permutations=500) for i in range(sets)]
    return np.mean([not result.tied.all() for result in compared])


def test_the_false_positive_rate_is_5_percent():
    rng = np.random.default_rng(0)
    rate = false_positives(1000, lambda: {"values": two_runs(rng, 40)})
    assert 0.035 <= rate <= 0.065


def test_the_false_positive_rate_is_not_higher_for_hits():
    rng = np.random.default_rng(1)
    rate = false_positives(
        1000, lambda: {"values": (rng.random((2, 60)) < rng.random(60)).astype(float)}
    )
    assert 0.02 <= rate <= 0.065


@pytest.mark.parametrize("correlation", [0.3, 0.9])
def test_photos_of_one_individual_are_not_independent(correlation):
    """Flipping single photos calls one of two equal runs better in 19% and 44% of data sets."""
    rng = np.random.default_rng(2)
    individuals = np.repeat(np.arange(20), 10)

    def draw():
        shared = rng.normal(size=(2, 20))[:, individuals] * np.sqrt(correlation)
        values = shared + rng.normal(size=(2, 200)) * np.sqrt(1 - correlation)
        return {"values": values, "clusters": individuals}

    assert false_positives(200, lambda: draw() | {"clusters": None}) > 0.12
    assert 0.025 <= false_positives(1000, draw) <= 0.065


@pytest.mark.slow
@pytest.mark.parametrize("n_runs", [5, 20, 50])
def test_of_equal_runs_rarely_any_is_called_worse_than_the_best(n_runs):
    """Compared as if the best had been chosen before, it would be 10% and 16%."""
    rng = np.random.default_rng(n_runs)
    rate = false_positives(
        1000, lambda: {"values": rng.normal(size=100) + rng.normal(size=(n_runs, 100))}
    )
    assert 0.03 <= rate <= 0.07


def test_a_difference_is_significant_although_intervals_overlap():
    """The pairing matters, since queries differ far more than runs."""
    values = two_runs(np.random.default_rng(2), 300, gain=0.04)
    low, high = bootstrap(values.T, seed=0)
    assert low[0] < high[1]
    compared = compare_with_best(values)
    assert compared.best == 0
    assert compared.tied.tolist() == [True, False]
    assert compared.p_value[1] < 0.001
    assert compared.difference[1] == pytest.approx(values[1].mean() - values[0].mean())


@pytest.mark.parametrize(
    "differences",
    [
        [0.3, 0.1, 0.2, 0.05, 0.4, 0.25],  # all of the same sign: 2 of 64
        [0.1, 0.2, 0.3, -0.1, -0.2, 0.3],  # sums that are equal except for rounding
        [1, 0, 1, 0, -1, 1],
    ],
)
def test_p_value_against_all_permutations(differences):
    signs = np.array(list(product([-1, 1], repeat=6)))
    sums = (signs * np.array(differences)).sum(axis=1)
    exact = np.mean(np.abs(sums) >= abs(sum(differences)) - 1e-9)
    values = np.array([np.full(6, 0.5), np.full(6, 0.5) - differences])
    compared = compare_with_best(values, permutations=40_000)
    assert compared.p_value[1] == pytest.approx(exact, abs=0.01)
    assert compared.adjusted[1] == compared.p_value[1]


def slow_step_down(sums):
    """Compare runs with the first by all signs: max-T over all pairs, step by step."""
    n_runs, n_clusters = sums.shape
    signs = np.array(list(product([-1, 1], repeat=n_clusters)))

    def distances(i, j):
        difference = sums[i] - sums[j]
        return np.abs(signs @ difference) / np.linalg.norm(difference)

    observed = [0.0, *(distances(0, j)[0] for j in range(1, n_runs))]
    remaining, adjusted, largest = set(range(n_runs)), np.ones(n_runs), 0.0
    for run in np.argsort(observed)[:0:-1]:
        most = np.max([distances(i, j) for i, j in combinations(sorted(remaining), 2)], axis=0)
        largest = max(largest, np.mean(most >= observed[run] - 1e-9))
        adjusted[run] = largest
        remaining.remove(run)
    return adjusted


@pytest.mark.parametrize("seed", range(4))
def test_many_runs_against_all_permutations(seed):
    rng = np.random.default_rng(seed)
    values = rng.random((5, 24)) - np.arange(5)[:, None] * 0.1
    clusters = rng.integers(0, 9, 24)
    weights = rng.uniform(0.5, 2, 24)
    shuffled = rng.permutation(5)
    sums = np.stack([np.bincount(clusters, row * weights) for row in values])
    best = np.argmax(sums.sum(axis=1))
    order = np.r_[best, np.delete(np.arange(5), best)]
    expected = np.empty(5)
    expected[order] = slow_step_down(sums[order][:, np.unique(clusters)])
    compared = compare_with_best(
        values[shuffled], clusters=clusters, weights=weights, permutations=40_000
    )
    assert shuffled[compared.best] == best
    assert compared.adjusted == pytest.approx(expected[shuffled], abs=0.01)
    means = (values * weights).sum(axis=1) / weights.sum()
    assert compared.difference == pytest.approx((means - means[best])[shuffled])


def test_equal_runs_are_tied():
    values = np.tile(np.random.default_rng(0).random(30), (3, 1))
    compared = compare_with_best(values)
    assert compared.difference.tolist() == [0, 0, 0]
    assert compared.p_value.tolist() == compared.adjusted.tolist() == [1, 1, 1]
    assert compared.tied.all()


def test_a_run_with_the_same_mean_is_tied():
    values = np.random.default_rng(0).random(31)
    worse = values - 0.5
    compared = compare_with_best(np.stack([worse, values[::-1], values]))
    assert compared.best == 1
    assert compared.adjusted[1:] == pytest.approx([1, 1])
    assert compared.tied.tolist() == [False, True, True]


def test_one_run_alone_is_the_best():
    compared = compare_with_best(np.array([[0.2, 0.4]]))
    assert compared.p_value.tolist() == compared.adjusted.tolist() == [1]
    assert compared.tied.tolist() == [True]


def test_the_order_of_the_runs_does_not_matter():
    rng = np.random.default_rng(3)
    values = np.vstack([two_runs(rng, 60, gain=0.03), rng.random((1, 60)) / 2])
    compared = compare_with_best(values)
    moved = compare_with_best(values[[1, 2, 0]])
    assert moved.best == 2
    assert moved.adjusted.tolist() == compared.adjusted[[1, 2, 0]].tolist()


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32 - 1), st.integers(2, 12), st.integers(1, 30))
def test_adjusted_values_are_not_below_p_and_increase_toward_the_best(seed, n_runs, n_clusters):
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 2, (n_runs, 30)).astype(float)
    clusters = rng.integers(0, n_clusters, 30)
    compared = compare_with_best(values, clusters=clusters, permutations=200)
    assert (compared.adjusted >= compared.p_value).all()
    assert (compared.adjusted <= 1).all()
    assert compared.adjusted[compared.best] == 1
    assert compared.difference.max() == compared.difference[compared.best] == 0
    sums = np.stack([np.bincount(clusters, row - values[compared.best]) for row in values])
    norms = np.linalg.norm(sums, axis=1)
    distance = np.abs(sums.sum(axis=1)) / np.where(norms > 0, norms, 1)
    order = np.argsort(distance)
    assert (np.diff(compared.adjusted[order][distance[order] > 1e-9]) <= 0).all()


def test_a_bad_run_does_not_hide_the_difference_of_two_good_ones():
    values = two_runs(np.random.default_rng(5), 100, gain=0.05)
    alone = compare_with_best(values).adjusted[1]
    bad = np.random.default_rng(6).random((10, 100)) * 0.1
    assert compare_with_best(np.vstack([values, bad])).adjusted[1] == alone < 0.05


def test_differences_of_many_runs_can_be_significant(monkeypatch):
    monkeypatch.setattr(paired, "_MAX_WORK", 0)  # only the minimum number of permutations
    values = np.random.default_rng(0).random((300, 40)) / 2
    values[7] += 0.5
    compared = compare_with_best(values, permutations=1)
    assert compared.best == 7
    assert compared.tied.sum() == 1
    assert compared.adjusted.min() == pytest.approx(1 / 1001)


def test_p_value_is_an_upper_bound_if_no_permutation_is_as_extreme():
    values = np.array([np.ones(60), np.zeros(60), np.tile([0.0, 1.0], 30)[:60]])
    values[2, :56] = 1.0
    compared = compare_with_best(values)
    assert compared.at_most.tolist() == [False, True, False]
    assert compared.adjusted[1] == pytest.approx(1 / 10_001)


def test_results_depend_on_the_seed_and_not_on_the_block_size(monkeypatch):
    values = two_runs(np.random.default_rng(4), 48, gain=0.02)
    once = compare_with_best(values, seed=1).p_value
    assert (compare_with_best(values, seed=1).p_value == once).all()
    monkeypatch.setattr(paired, "_BLOCK", 48 * 16)
    assert compare_with_best(values, seed=1).p_value == pytest.approx(once, abs=0.01)


@pytest.mark.parametrize(
    ("values", "options"),
    [
        (np.ones(3), {}),
        (np.ones((2, 0)), {}),
        (np.ones((0, 2)), {}),
        (np.full((2, 3), np.nan), {}),
        (np.ones((2, 3)), {"clusters": np.arange(2)}),
        (np.ones((2, 3)), {"weights": np.ones(2)}),
        (np.ones((2, 3)), {"weights": np.array([1.0, 0, 1])}),
    ],
)
def test_invalid_input_is_rejected(values, options):
    with pytest.raises(ValueError, match=r"finite|clusters of shape|weights must be positive"):
        compare_with_best(values, **options)
