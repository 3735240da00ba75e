"""CMC curve: hit rates for every k, their intervals and the chance level."""

import numpy as np
import pytest

from outliers_bench.evaluation import confidence_intervals, evaluate
from outliers_bench.evaluation.cmc import MAX_RANK, cmc_curve, hits_by_rank
from outliers_bench.evaluation.metrics import expected_by_chance
from outliers_bench.types import Ranking
from tests.toys import toy_split


@pytest.mark.parametrize("n", [7, 90])
def test_the_curve_is_hit_at_k_for_every_k(n):
    rng = np.random.default_rng(n)
    labels = rng.permutation(np.arange(n) % (n // 3))
    split = toy_split(query=rng.integers(0, 2, 40), gallery=labels, classes=n)
    indices = np.array([rng.permutation(n) for _ in range(40)])
    ranking = Ranking(indices, -np.tile(np.arange(n, dtype=np.float32), (40, 1)))
    last = min(n, MAX_RANK)
    found = evaluate(ranking, split, k=range(1, last + 1))
    hits = hits_by_rank(found.per_query["mrr"], found.available)
    assert len(hits) == last
    for name, values in hits.items():
        assert np.array_equal(values, found.per_query[name]), name
    intervals = confidence_intervals(hits, seed=0)
    curve = cmc_curve(hits, intervals, found.total, found.available)
    chance = expected_by_chance(found.total, found.available, range(1, last + 1))
    for k in range(1, last + 1):
        name = f"hit_at_{k}"
        assert curve.rates[k - 1] == found.metrics[name]
        assert (curve.low[k - 1], curve.high[k - 1]) == intervals[name]
        assert curve.chance[k - 1] == pytest.approx(chance[name], abs=1e-12)


def test_the_reciprocal_of_every_rank_is_exact():
    ranks = np.arange(1, MAX_RANK + 2)
    hits = hits_by_rank(1.0 / ranks, np.full(len(ranks), 10**6))
    for k in range(1, MAX_RANK + 1):
        assert hits[f"hit_at_{k}"].sum() == k
