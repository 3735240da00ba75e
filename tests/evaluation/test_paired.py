"""Paired permutation test: false positives, power, exact p-values, and Holm's correction."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from outliers_bench.evaluation import compare_with_best, paired
from outliers_bench.evaluation.intervals import bootstrap
from outliers_bench.evaluation.paired import holm


def two_runs(rng, n, *, gain=0.0):
    """Create two runs with common difficulty per query; the first is better by `gain`."""
    values = rng.random(n) * 0.6 + rng.random((2, n)) * 0.3
    values[0] += gain
    return values


def test_the_false_positive_rate_is_5_percent():
    rng = np.random.default_rng(0)
    p = [
        compare_with_best(two_runs(rng, 40), 0, seed=i, permutations=199).p_value[1]
        for i in range(1000)
    ]
    assert 0.035 <= np.mean(np.less_equal(p, 0.05)) <= 0.065


def test_the_false_positive_rate_is_not_higher_for_hits():
    rng = np.random.default_rng(1)
    p = [
        compare_with_best(
            (rng.random((2, 60)) < rng.random(60)).astype(float), 0, seed=i, permutations=199
        ).p_value[1]
        for i in range(1000)
    ]
    assert 0.02 <= np.mean(np.less_equal(p, 0.05)) <= 0.065


def test_a_difference_is_significant_although_intervals_overlap():
    """The pairing matters, since queries differ far more than runs."""
    values = two_runs(np.random.default_rng(2), 300, gain=0.04)
    low, high = bootstrap(values.T, seed=0)
    assert low[0] < high[1]
    compared = compare_with_best(values, 0)
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
    assert compare_with_best(values, 0, permutations=40_000).p_value[1] == pytest.approx(
        exact, abs=0.01
    )


def test_equal_runs_are_tied():
    values = np.tile(np.random.default_rng(0).random(30), (3, 1))
    compared = compare_with_best(values, 1)
    assert compared.difference.tolist() == [0, 0, 0]
    assert compared.p_value.tolist() == compared.adjusted.tolist() == [1, 1, 1]
    assert compared.tied.all()


def test_one_run_alone_is_the_best():
    compared = compare_with_best(np.array([[0.2, 0.4]]), 0)
    assert compared.p_value.tolist() == compared.adjusted.tolist() == [1]
    assert compared.tied.tolist() == [True]


def test_the_best_is_not_among_the_comparisons():
    rng = np.random.default_rng(3)
    values = np.vstack([two_runs(rng, 60, gain=0.03), rng.random((1, 60)) / 2])
    compared = compare_with_best(values, 0)
    assert compared.adjusted.tolist() == [1, *holm(compared.p_value[1:])]
    moved = compare_with_best(values[[1, 2, 0]], 2)
    assert moved.adjusted.tolist() == compared.adjusted[[1, 2, 0]].tolist()


def test_holm_by_hand():
    # 0.01 x 4, 0.02 x 3, then 0.022 x 2 = 0.044, which may not fall below 0.06, and 0.5 x 1
    assert holm(np.array([0.5, 0.022, 0.01, 0.02])) == pytest.approx([0.5, 0.06, 0.04, 0.06])
    assert holm(np.array([0.6, 0.7])) == pytest.approx([1, 1])
    assert holm(np.array([])).tolist() == []


@given(arrays(np.float64, st.integers(1, 12), elements=st.floats(1e-6, 1)))
def test_holm_preserves_order_and_is_between_p_and_bonferroni(p):
    adjusted = holm(p)
    assert (adjusted >= p).all()
    assert (adjusted <= np.minimum(1, p * len(p)) + 1e-12).all()
    order = np.argsort(p, kind="stable")
    assert (np.diff(adjusted[order]) >= 0).all()


def test_differences_of_many_runs_can_be_significant(monkeypatch):
    monkeypatch.setattr(paired, "_MAX_WORK", 0)  # only the minimum number of permutations
    values = np.random.default_rng(0).random((300, 40)) / 2
    values[7] += 0.5
    assert compare_with_best(values, 7, permutations=1).tied.sum() == 1


def test_p_value_is_an_upper_bound_if_no_permutation_is_as_extreme():
    values = np.array([np.ones(60), np.zeros(60), np.tile([0.0, 1.0], 30)[:60]])
    values[2, :56] = 1.0
    compared = compare_with_best(values, 0)
    assert compared.at_most.tolist() == [False, True, False]
    assert compared.adjusted[1] == pytest.approx(2 / 10_001)


def test_many_runs_have_more_permutations():
    values = np.random.default_rng(0).random((20, 40)) / 2
    values[0] += 0.5
    assert compare_with_best(values, 0).adjusted[1:].max() < 0.001


def test_results_depend_on_the_seed_and_not_on_the_block_size(monkeypatch):
    values = two_runs(np.random.default_rng(4), 48, gain=0.02)
    once = compare_with_best(values, 0, seed=1).p_value
    assert (compare_with_best(values, 0, seed=1).p_value == once).all()
    monkeypatch.setattr(paired, "_BLOCK", 48 * 16)
    assert compare_with_best(values, 0, seed=1).p_value == pytest.approx(once, abs=0.01)


@pytest.mark.parametrize(
    ("values", "best"),
    [
        (np.ones((2, 3)), 2),
        (np.ones((2, 3)), -1),
        (np.ones(3), 0),
        (np.ones((2, 0)), 0),
        (np.full((2, 3), np.nan), 0),
    ],
)
def test_invalid_input_is_rejected(values, best):
    with pytest.raises(ValueError, match=r"not one of|finite"):
        compare_with_best(values, best)
