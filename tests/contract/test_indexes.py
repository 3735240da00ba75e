"""What every index must satisfy, whatever is inside."""

import numpy as np
import pytest

from outliers_bench.errors import BenchError
from outliers_bench.retrieval.exact import Exact
from outliers_bench.retrieval.index import Metric
from outliers_bench.retrieval.normalise import l2_normalise
from outliers_bench.retrieval.search import Search, tie_order
from outliers_bench.retrieval.trees import BallTree, KdTree
from tests.toys import digest

CASES = [
    *(Exact("exact", metric) for metric in Metric),
    *(
        tree(metric=metric)
        for tree in (KdTree, BallTree)
        for metric in (Metric.cosine, Metric.euclidean)
    ),
]


def named(index):
    return f"{index.name}-{index.metric.name}"


@pytest.fixture(params=CASES, ids=named)
def index(request):
    return request.param


def similarity(queries, gallery, metric):
    """Brute force in float64."""
    q, g = queries.astype(np.float64), gallery.astype(np.float64)
    if metric is Metric.cosine:
        q, g = l2_normalise(queries).astype(np.float64), l2_normalise(gallery).astype(np.float64)
    if metric is Metric.euclidean:
        return -((q[:, None] - g[None]) ** 2).sum(axis=2)
    return q @ g.T


def vectors(n, d=12, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


def ranked(index, queries, gallery, depth, *, seed=0, digests=None, leave_one_out=False):
    digests = digests or [digest(str(i)) for i in range(len(gallery))]
    order = tie_order(digests, seed)
    search = Search(gallery, index=index, order=order, leave_one_out=leave_one_out)
    return search.rank(queries, depth)


def test_finds_what_brute_force_finds(index):
    queries, gallery = vectors(20, seed=1), vectors(200, seed=2)
    truth = similarity(queries, gallery, index.metric)
    got = ranked(index, queries, gallery, 25)
    assert np.array_equal(got.indices, np.argsort(-truth, axis=1)[:, :25])
    expected = np.take_along_axis(truth, got.indices, axis=1)
    assert np.allclose(got.scores, expected, atol=1e-4)


def test_types_and_shape(index):
    got = ranked(index, vectors(3), vectors(30, seed=1), 7)
    assert got.indices.dtype == np.int64
    assert got.scores.dtype == np.float32
    assert got.indices.shape == got.scores.shape == (3, 7)


def test_whole_gallery(index):
    got = ranked(index, vectors(3), vectors(9, seed=1), 9)
    assert (np.sort(got.indices, axis=1) == np.arange(9)).all()


def test_one_item(index):
    assert ranked(index, vectors(2), vectors(1, seed=1), 1).indices.tolist() == [[0], [0]]


def test_zero_vectors_are_ranked_and_never_nan(index):
    gallery = vectors(10, seed=1)
    gallery[3] = 0
    queries = np.vstack([vectors(2), np.zeros((1, 12), dtype=np.float32)])
    got = ranked(index, queries, gallery, 10)
    assert (np.sort(got.indices, axis=1) == np.arange(10)).all()
    truth = similarity(queries, gallery, index.metric)
    assert np.array_equal(got.indices[:2], np.argsort(-truth[:2], axis=1))
    expected = np.take_along_axis(truth, got.indices, axis=1)
    assert np.allclose(got.scores, expected, atol=1e-4)


def test_blocks_of_queries_give_what_one_block_gives(index, monkeypatch):
    queries, gallery = vectors(200, seed=8), vectors(90, seed=9)
    whole = ranked(index, queries, gallery, 12)
    monkeypatch.setattr("outliers_bench.retrieval.search.BLOCK_ITEMS", 1)
    blocked = ranked(index, queries, gallery, 12)
    assert np.array_equal(whole.indices, blocked.indices)
    items = vectors(150, seed=10)
    apart = ranked(index, items, items, 5, leave_one_out=True)
    assert not (apart.indices == np.arange(150)[:, None]).any()


def test_equal_scores_follow_the_seed_and_not_the_position(index):
    gallery = np.tile(vectors(1, seed=3), (50, 1))
    queries = vectors(1)
    first = ranked(index, queries, gallery, 10, seed=0).indices[0].tolist()
    assert first == ranked(index, queries, gallery, 10, seed=0).indices[0].tolist()
    assert first != ranked(index, queries, gallery, 10, seed=1).indices[0].tolist()
    assert first != sorted(first)
    expected = tie_order([digest(str(i)) for i in range(50)], 0)[:10]
    assert first == expected.tolist(), "also which of the equals make the cut is the seed's choice"


def test_order_of_files_does_not_matter(index):
    gallery = np.repeat(vectors(20, seed=4), 3, axis=0)  # every vector three times
    digests = [digest(str(i)) for i in range(60)]
    queries = vectors(8, seed=5)
    shuffle = np.random.default_rng(6).permutation(60)
    plain = ranked(index, queries, gallery, 20, digests=digests)
    moved = ranked(index, queries, gallery[shuffle], 20, digests=[digests[i] for i in shuffle])
    assert np.array_equal(plain.indices, shuffle[moved.indices])


def test_leave_one_out_drops_the_query_by_identity(index):
    # Twins: rank 1 of each is its twin, and dropping "the first" instead would lose half of them.
    items = l2_normalise(np.repeat(vectors(15, seed=7), 2, axis=0))
    got = ranked(index, items, items, 5, leave_one_out=True)
    own = np.arange(30)[:, None]
    assert not (got.indices == own).any()
    assert (got.indices[:, 0] == own[:, 0] ^ 1).all()


def test_size_is_at_least_the_vectors(index):
    gallery = vectors(100)
    assert index.build(gallery).nbytes >= gallery.nbytes


def test_inputs_are_left_alone(index):
    queries, gallery = vectors(4), vectors(40, seed=1)
    before = queries.copy(), gallery.copy()
    ranked(index, queries, gallery, 5)
    assert np.array_equal(queries, before[0])
    assert np.array_equal(gallery, before[1])


def test_trees_refuse_inner_products():
    with pytest.raises(BenchError, match="index=exact"):
        KdTree(metric=Metric.inner_product).check()


def test_trees_refuse_empty_leaves():
    with pytest.raises(BenchError, match="leaf_size=0"):
        KdTree(leaf_size=0).check()
