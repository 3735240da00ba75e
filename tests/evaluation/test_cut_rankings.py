"""Rankings of a part of the gallery: no value depends on where a ranking is cut."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from outliers_bench.evaluation import count_relevant, evaluate
from outliers_bench.evaluation.metrics import compute_per_query, determined_metrics
from outliers_bench.evaluation.scored import Scored
from outliers_bench.types import Ranking
from tests.toys import toy_split


@settings(deadline=None)
@given(st.integers(0, 10**6))
def test_a_cut_ranking_has_a_metric_only_if_its_value_is_that_of_the_whole_ranking(seed):
    """The best and the worst continuation of a cut ranking have the values that it reports."""
    rng = np.random.default_rng(seed)
    n, n_query = int(rng.integers(2, 8)), int(rng.integers(1, 4))
    split = toy_split(query=rng.integers(0, 2, n_query), gallery=[0, 1, *rng.integers(0, 3, n - 2)])
    scores = -np.tile(np.arange(n, dtype=np.float32), (n_query, 1))
    given = [rng.permutation(n)[: rng.integers(1, n + 1)] for _ in range(n_query)]
    rest = [np.setdiff1d(np.arange(n), row) for row in given]
    wrong = [split.gallery.labels[r] != q for r, q in zip(rest, split.query.labels, strict=True)]

    def score(ends):
        rows = [np.r_[row, end] for row, end in zip(given, ends, strict=True)]
        return evaluate(Ranking(np.array(rows), scores), split, k=[1, 2, 4]).per_query

    best = score([r[np.argsort(w, kind="stable")] for r, w in zip(rest, wrong, strict=True)])
    worst = score([r[np.argsort(~w, kind="stable")] for r, w in zip(rest, wrong, strict=True)])
    retrieved = np.full((n_query, n), -1)
    for row, items in zip(retrieved, given, strict=True):
        row[: len(items)] = split.gallery.labels[items]
    labels = split.query.labels
    cut = Scored(retrieved == labels[:, None], count_relevant(split), labels, retrieved)
    reported = determined_metrics(cut, [1, 2, 4])
    for name, values in compute_per_query(cut, [1, 2, 4]).items():
        if name in reported:
            assert np.array_equal(values, best[name]), name
            assert np.array_equal(values, worst[name]), name
        elif name in ("map", "mrr", "minp") and all(w.any() for w in wrong):
            assert not np.array_equal(best[name], worst[name]), name


def test_no_bit_of_a_metric_depends_on_the_depth_or_on_k():
    rng = np.random.default_rng(3)
    split = toy_split(query=rng.integers(0, 3, 20), gallery=rng.integers(0, 3, 400))
    indices = np.array([rng.permutation(400) for _ in range(20)])
    scores = -np.tile(np.arange(400, dtype=np.float32), (20, 1))
    whole = evaluate(Ranking(indices, scores), split, k=[1, 5, 300])
    for depth, k in ((400, [5]), (200, [1, 5, 150])):
        other = evaluate(Ranking(indices[:, :depth], scores[:, :depth]), split, k=k)
        common = other.metrics.keys() & whole.metrics.keys()
        assert {"hit_at_5", "map_at_5", "map_at_r", "mrr"} <= common
        for name in common:
            assert np.array_equal(other.per_query[name], whole.per_query[name]), name
    assert "map" not in other.metrics
