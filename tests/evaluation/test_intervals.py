"""Confidence intervals: coverage and properties."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import beta

from outliers_bench.evaluation import confidence_intervals, intervals
from outliers_bench.evaluation.intervals import bootstrap

SETS = 1000


def hits(n, of):
    return np.r_[np.ones(n), np.zeros(of - n)]


def average_precisions(rng, n):
    """Some values are 0, some 1, most in between: mean 0.475."""
    values, share = rng.beta(2, 2, (n, SETS)), rng.random((n, SETS))
    values[share < 0.15] = 0
    values[share > 0.9] = 1
    return values, 0.1 + 0.75 * 0.5


@pytest.mark.parametrize("n", [60, 340])
@pytest.mark.parametrize("kind", ["hit rate 0.7", "hit rate 0.95", "average precision"])
def test_coverage_of_a_thousand_data_sets_is_95_percent(n, kind):
    rng = np.random.default_rng(n)
    if kind == "average precision":
        values, true = average_precisions(rng, n)
    else:
        true = float(kind.split()[-1])
        values = (rng.random((n, SETS)) < true).astype(float)
    low, high = bootstrap(values, seed=1)
    coverage = ((low <= true) & (true <= high)).mean()
    assert 0.93 <= coverage <= 0.97


@pytest.mark.parametrize(("hit_count", "of"), [(1, 50), (25, 50), (48, 50), (270, 340), (339, 340)])
def test_a_hit_rate_has_jeffreys_interval(hit_count, of):
    low, high = bootstrap(hits(hit_count, of)[:, None], seed=0)[:, 0]
    error = np.sqrt(hit_count * (of - hit_count) / of) / of
    exact = beta(hit_count + 0.5, of - hit_count + 0.5).ppf([0.025, 0.975])
    assert [low, high] == pytest.approx(exact, abs=error / 4)


def test_the_far_bound_is_the_exact_binomial_one_if_all_values_are_equal():
    low, high = bootstrap(hits(340, 340)[:, None], seed=0)[:, 0]
    assert (low, high) == (pytest.approx(0.025 ** (1 / 340)), 1)
    low, high = bootstrap(hits(0, 340)[:, None], seed=0)[:, 0]
    assert (low, high) == (0, pytest.approx(1 - 0.025 ** (1 / 340)))


def test_bounds_increase_with_the_hits_without_a_jump():
    values = np.column_stack([hits(n, 340) for n in range(330, 341)])
    low, high = bootstrap(values, seed=0)
    assert (np.diff(low) > 0).all()
    assert (np.diff(high) >= 0).all()
    assert np.diff(low).max() < 3 / 340
    assert (high[:-1] - low[:-1] > 0).all()
    assert low[-1] < 1


def test_the_interval_of_one_query_is_0_to_1():
    assert confidence_intervals({"mrr": np.array([0.5])}, seed=0) == {"mrr": (0.0, 1.0)}


unit = st.floats(0, 1, width=32)
matrices = arrays(np.float64, st.tuples(st.integers(1, 30), st.integers(1, 4)), elements=unit)


@settings(deadline=None, max_examples=50)
@given(matrices, st.integers(0, 2**32 - 1))
def test_an_interval_contains_the_mean_and_is_between_0_and_1(values, seed):
    low, high = bootstrap(values, seed=seed, resamples=100)
    mean = values.mean(axis=0)
    assert (low >= 0).all()
    assert (high <= 1).all()
    assert (low <= mean).all()
    assert (mean <= high).all()
    assert (low < high).all(), "an interval is never a point"


@settings(deadline=None, max_examples=50)
@given(matrices, st.randoms(use_true_random=False))
def test_intervals_do_not_depend_on_the_order_of_queries(values, random):
    order = list(range(len(values)))
    random.shuffle(order)
    shuffled = bootstrap(values[order], seed=3, resamples=100)
    assert (bootstrap(values, seed=3, resamples=100) == shuffled).all()


@settings(deadline=None, max_examples=50)
@given(st.integers(2, 400), st.data())
def test_bounds_of_a_hit_rate_do_not_decrease_with_k(n, data):
    fewer = data.draw(st.integers(0, n))
    values = np.column_stack([hits(fewer, n), hits(data.draw(st.integers(fewer, n)), n)])
    low, high = bootstrap(values, seed=0, resamples=500)
    assert low[1] >= low[0] - 1e-12
    assert high[1] >= high[0] - 1e-12


def test_four_times_the_queries_halve_the_interval():
    values = np.random.default_rng(0).beta(2, 3, 500)[:, None]
    few, many = (np.diff(bootstrap(np.tile(values, (n, 1)), seed=0), axis=0)[0, 0] for n in (1, 4))
    assert few / many == pytest.approx(2, rel=0.1)


def test_a_lower_level_gives_a_narrower_interval():
    values = np.random.default_rng(0).random((50, 1))
    (low, high), (inner_low, inner_high) = (
        bootstrap(values, seed=0, level=level)[:, 0] for level in (0.95, 0.5)
    )
    assert low < inner_low < inner_high < high


def test_results_depend_on_the_seed_and_not_on_the_block_size(monkeypatch):
    values = np.random.default_rng(0).random((40, 3))
    once = bootstrap(values, seed=5)
    assert (once == bootstrap(values, seed=5)).all()
    assert (once != bootstrap(values, seed=6)).any()
    monkeypatch.setattr(intervals, "_BLOCK", 40 * 7)
    assert bootstrap(values, seed=5) == pytest.approx(once)


def test_every_metric_has_an_interval():
    per_query = {"hit_at_1": hits(30, 40), "mrr": np.full(40, 0.25)}
    result = confidence_intervals(per_query, seed=2)
    assert list(result) == ["hit_at_1", "mrr"]
    for name, values in per_query.items():
        assert result[name] == pytest.approx(bootstrap(values[:, None], seed=2)[:, 0])


def agreeing_hits(rng, n_clusters, size, correlation, *, rate=0.7, sets=500):
    """Draw hits of which those of one cluster have the given correlation (beta-binomial)."""
    clusters = np.repeat(np.arange(n_clusters), size)
    chance = np.full((n_clusters, sets), rate)
    if correlation:
        scale = 1 / correlation - 1
        chance = rng.beta(rate * scale, (1 - rate) * scale, (n_clusters, sets))
    return (rng.random((len(clusters), sets)) < chance[clusters]).astype(float), clusters


def coverage(values, true, **options):
    low, high = bootstrap(values, seed=1, resamples=1000, **options)
    return ((low <= true) & (true <= high)).mean()


@pytest.mark.parametrize(("correlation", "by_query"), [(0, 0.95), (0.3, 0.68), (0.9, 0.48)])
def test_coverage_if_photos_of_one_individual_agree(correlation, by_query):
    values, individuals = agreeing_hits(np.random.default_rng(3), 20, 10, correlation)
    assert coverage(values, 0.7) == pytest.approx(by_query, abs=0.06)
    assert 0.925 <= coverage(values, 0.7, clusters=individuals) <= 0.98


@pytest.mark.slow
@pytest.mark.parametrize("design", [(20, 10), (50, 4), (200, 2)])
@pytest.mark.parametrize("rate", [0.3, 0.5, 0.7, 0.9])
def test_coverage_by_clusters_is_93_to_97_percent(design, rate):
    """Up to 99% for 20 individuals with a hit rate of 0.9: two of them have misses."""
    rng = np.random.default_rng(design[0])
    highest = 0.99 if (design[0], rate) == (20, 0.9) else 0.975
    for correlation in (0, 0.1, 0.3, 0.5, 0.7, 0.9):
        values, clusters = agreeing_hits(rng, *design, correlation, rate=rate, sets=2000)
        assert 0.92 <= coverage(values, rate, clusters=clusters) <= highest, correlation


def test_coverage_if_clusters_differ_in_size():
    rng = np.random.default_rng(4)
    values, clusters = agreeing_hits(rng, 40, rng.geometric(1 / 5, 40), 0.4)
    assert 0.925 <= coverage(values, 0.7, clusters=clusters) <= 0.98


def test_clusters_of_one_query_are_queries():
    values = np.random.default_rng(0).random((40, 3))
    assert (
        bootstrap(values, seed=5, clusters=np.arange(40)[::-1]) == bootstrap(values, seed=5)
    ).all()


def test_identical_photos_count_once():
    """Except for Student's t, which 30 clusters need and 30 queries of hits and misses do not."""
    once = np.random.default_rng(0).beta(2, 2, (30, 1))
    repeated = bootstrap(np.repeat(once, 7, axis=0), seed=0, clusters=np.repeat(np.arange(30), 7))
    assert repeated == pytest.approx(bootstrap(once, seed=0), abs=0.01)


def test_numbers_of_clusters_and_their_order_do_not_matter():
    rng = np.random.default_rng(0)
    values, clusters, weights = rng.random((60, 2)), rng.integers(0, 9, 60), rng.uniform(1, 2, 60)
    order, renamed = rng.permutation(60), rng.permutation(90)[clusters]
    assert bootstrap(
        values[order], seed=1, clusters=renamed[order], weights=5 * weights[order]
    ) == pytest.approx(bootstrap(values, seed=1, clusters=clusters, weights=weights))


def test_weights_of_1_are_no_weights():
    rng = np.random.default_rng(0)
    values, clusters = rng.random((60, 2)), rng.integers(0, 9, 60)
    weighted = bootstrap(values, seed=1, clusters=clusters, weights=np.ones(60))
    assert weighted == pytest.approx(bootstrap(values, seed=1, clusters=clusters))


def test_class_balanced_means_have_intervals_around_them():
    """One class has 90 of 100 photos, and they are easy: the balanced mean is 0.55, not 0.91."""
    rng = np.random.default_rng(0)
    labels = np.r_[np.zeros(90, int), np.arange(1, 11)]
    values = (rng.random((100, 500)) < np.where(labels == 0, 1, 0.5)[:, None]).astype(float)
    weights = 1 / np.bincount(labels)[labels]
    true = (1 + 10 * 0.5) / 11
    assert 0.9 <= coverage(values, true, clusters=labels, weights=weights) <= 0.99


@pytest.mark.parametrize("n_clusters", [1, 2])
def test_two_clusters_show_nothing(n_clusters):
    result = bootstrap(np.full((10, 1), 0.5), seed=0, clusters=np.arange(10) % n_clusters)
    assert result.tolist() == [[0], [1]]


def test_all_hits_of_clusters_have_the_exact_bound_of_as_many_queries():
    low, high = bootstrap(np.ones((200, 1)), seed=0, clusters=np.arange(200) // 10)[:, 0]
    assert (low, high) == (pytest.approx(0.025 ** (1 / 20)), 1)
    # Clusters of 1, 2, 3 and 4 queries are worth 100 / 30 of equal size (Kish).
    sizes = np.repeat(np.arange(4), [1, 2, 3, 4])
    low, high = bootstrap(np.zeros((10, 1)), seed=0, clusters=sizes)[:, 0]
    assert (low, high) == (0, pytest.approx(1 - 0.025 ** (30 / 100)))


@settings(deadline=None, max_examples=50)
@given(matrices, st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_an_interval_by_clusters_contains_the_weighted_mean(values, n_clusters, seed):
    rng = np.random.default_rng(seed)
    weights = rng.uniform(0.01, 1, len(values)) ** 4
    clusters = rng.integers(0, n_clusters, len(values))
    low, high = bootstrap(values, seed=seed, clusters=clusters, weights=weights, resamples=100)
    mean = np.average(values, axis=0, weights=weights)
    assert ((low >= 0) & (low <= mean) & (mean <= high) & (high <= 1) & (low < high)).all()


@pytest.mark.parametrize("values", [np.empty((0, 1)), np.array([[0.5], [1.5]]), [[np.nan], [0.0]]])
def test_invalid_values_are_rejected(values):
    with pytest.raises(ValueError, match="between 0 and 1"):
        bootstrap(np.asarray(values), seed=0)
