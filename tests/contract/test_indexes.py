"""Contract of all indexes: results, ties, determinism."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outliers_bench.errors import BenchError
from outliers_bench.retrieval.indexes.exact import Exact
from outliers_bench.retrieval.indexes.hnsw import FaissHnsw
from outliers_bench.retrieval.indexes.index import Metric
from outliers_bench.retrieval.indexes.quantized import FaissIvfPq, FaissSq8
from outliers_bench.retrieval.indexes.trees import KdTree
from outliers_bench.retrieval.normalize import l2_normalize
from outliers_bench.retrieval.recall import recall_at_10
from outliers_bench.retrieval.search import VectorSearch, tie_order
from outliers_bench.types import Exclusion, join_blocks
from tests.contract.index_cases import (
    DEFAULTS,
    QUANTIZED,
    clustered,
    every_index,
    exhaustive_index,
    rank,
    search_over,
    similarity,
    vectors,
)
from tests.toys import digest, exclude_nothing


@exhaustive_index
def test_against_brute_force(index):
    queries, gallery = vectors(20, seed=1), vectors(200, seed=2)
    truth = similarity(queries, gallery, index.metric)
    result = rank(index, queries, gallery, 25)
    assert np.array_equal(result.indices, np.argsort(-truth, axis=1)[:, :25])
    expected = np.take_along_axis(truth, result.indices, axis=1)
    assert np.allclose(result.scores, expected, atol=1e-4)


@pytest.mark.parametrize("index", DEFAULTS)
def test_recall_of_the_defaults(index):
    search = search_over(index, clustered(600, seed=1))
    floor = 0.7 if isinstance(index, FaissIvfPq) else 0.95
    queries = clustered(60, per_cluster=2, seed=2)
    nothing = exclude_nothing(queries, search)
    assert recall_at_10(search, queries, depth=10, exclusion=nothing) >= floor


@pytest.mark.parametrize("index", QUANTIZED)
def test_scores_of_quantized_indexes_are_close(index):
    queries, gallery = clustered(20, seed=1), clustered(400, seed=2)
    result = rank(index, queries, gallery, 5)
    truth = similarity(queries, gallery, index.metric)
    expected = np.take_along_axis(truth, result.indices, axis=1)
    error = np.abs(result.scores - expected).mean() / truth.std()
    assert error < (0.3 if isinstance(index, FaissIvfPq) else 0.01)


@every_index
def test_types_shape_and_order_of_results(index):
    result = rank(index, vectors(3), vectors(30, seed=1), 7)
    assert result.indices.dtype == np.int64
    assert result.scores.dtype == np.float32
    assert result.indices.shape == result.scores.shape == (3, 7)
    assert (np.diff(result.scores, axis=1) <= 0).all()


@every_index
def test_a_depth_beyond_the_gallery_returns_all_items(index):
    gallery = vectors(9, seed=1)
    gallery = l2_normalize(gallery) if index.metric is Metric.cosine else gallery
    positions, scores = index.build(gallery).search(np.asfortranarray(vectors(3)), 12)
    assert positions.dtype == np.int64
    assert scores.dtype == np.float32
    assert scores.shape == (3, 9)
    assert np.isfinite(scores).all()
    assert (np.sort(positions, axis=1) == np.arange(9)).all()


@every_index
def test_one_item(index):
    assert rank(index, vectors(2), vectors(1, seed=1), 1).indices.tolist() == [[0], [0]]


@every_index
def test_zero_vectors_are_ranked_with_finite_scores(index):
    gallery = vectors(10, seed=1)
    gallery[3] = 0
    queries = np.vstack([vectors(2), np.zeros((1, 12), dtype=np.float32)])
    result = rank(index, queries, gallery, 10)
    assert (np.sort(result.indices, axis=1) == np.arange(10)).all()
    assert np.isfinite(result.scores).all()
    if isinstance(index, (FaissSq8, FaissIvfPq)):
        return
    truth = similarity(queries, gallery, index.metric)
    assert np.array_equal(result.indices[:2], np.argsort(-truth[:2], axis=1))
    expected = np.take_along_axis(truth, result.indices, axis=1)
    assert np.allclose(result.scores, expected, atol=1e-4)


@every_index
def test_results_do_not_depend_on_other_queries(index, monkeypatch):
    queries, gallery = vectors(200, seed=8), vectors(90, seed=9)
    search = search_over(index, gallery)
    every = exclude_nothing(queries, gallery)
    expected = search.rank(queries, 12, exclusion=every)
    monkeypatch.setattr("outliers_bench.retrieval.search.BLOCK_ITEMS", 1)
    blocked = search.rank(queries, 12, exclusion=every)
    assert np.array_equal(expected.indices, blocked.indices)
    one = every.take(slice(0, 1))
    alone = [search.rank(queries[i : i + 1], 12, exclusion=one) for i in (0, 7, 199)]
    assert np.array_equal(expected.indices[[0, 7, 199]], np.vstack([one.indices for one in alone]))
    scores = np.vstack([one.scores for one in alone])
    assert np.allclose(expected.scores[[0, 7, 199]], scores, rtol=1e-5, atol=1e-5)


@every_index
def test_ties_are_broken_by_the_seed_and_not_by_position(index):
    gallery = np.tile(vectors(1, seed=3), (50, 1))
    queries = vectors(1)
    first = rank(index, queries, gallery, 10, seed=0).indices[0].tolist()
    assert len(set(first)) == 10
    assert first == rank(index, queries, gallery, 10, seed=0).indices[0].tolist()
    assert first != rank(index, queries, gallery, 10, seed=1).indices[0].tolist()
    assert first != sorted(first)
    if index.exact:
        expected = tie_order([digest(str(i)) for i in range(50)], 0)[:10]
        assert first == expected.tolist(), "also at the last rank"


@every_index
def test_results_do_not_depend_on_the_order_of_files(index):
    gallery = np.repeat(vectors(20, seed=4), 3, axis=0)  # every vector three times
    digests = [digest(str(i)) for i in range(60)]
    queries = vectors(8, seed=5)
    shuffle = np.random.default_rng(6).permutation(60)
    original = rank(index, queries, gallery, 20, digests=digests)
    moved = rank(index, queries, gallery[shuffle], 20, digests=[digests[i] for i in shuffle])
    assert np.array_equal(original.indices, shuffle[moved.indices])


@every_index
def test_leave_one_out_excludes_the_query_by_identity(index):
    # Duplicates: the first hit is the duplicate, half of which would be lost by dropping rank 1.
    items = l2_normalize(np.repeat(vectors(15, seed=7), 2, axis=0))
    result = rank(index, items, items, 5, exclusion=Exclusion.itself(30))
    own = np.arange(30)[:, None]
    assert not (result.indices == own).any()
    if not isinstance(index, FaissIvfPq):  # other items may have the same code
        assert (result.indices[:, 0] == own[:, 0] ^ 1).all()


@every_index
def test_excluded_images_are_replaced_by_the_next_ones(index):
    """The ranking is the full one without the images that share the query's value."""
    gallery, queries = clustered(60, per_cluster=6, seed=1), clustered(12, per_cluster=2, seed=2)
    cameras = np.random.default_rng(3).integers(0, 4, 60)
    exclusion = Exclusion.same_value(np.arange(12) % 6, cameras)  # two values are not in it
    depth = exclusion.max_depth
    result = rank(index, queries, gallery, depth, exclusion=exclusion)
    full = rank(index, queries, gallery, 60)
    for row in range(12):
        left = [item for item in full.indices[row] if cameras[item] != row % 6]
        assert result.indices[row].tolist() == left + [-1] * (depth - len(left))


@every_index
def test_the_full_ranking_continues_with_exact_scores(index):
    """The first ones as the index finds them, all others as exhaustive search orders them."""
    gallery, queries = clustered(300, seed=1), clustered(20, per_cluster=2, seed=2)
    gallery = np.concatenate([gallery, gallery[:40]])
    exclusion = Exclusion.same_value(np.arange(20) % 6, np.arange(340) % 9)
    search = search_over(index, gallery)
    short = search.rank(queries, 12, exclusion=exclusion)
    blocks = search.rank_blocks(queries, 12, exclusion=exclusion, full=True)
    full = join_blocks(blocks, 20, 340)
    assert np.array_equal(full.indices[:, :12], short.indices)
    assert np.array_equal(full.scores[:, :12], short.scores)
    exact = search.exhaustive().rank(queries, exclusion.max_depth, exclusion=exclusion)
    for row in range(20):
        others = [item for item in exact.indices[row] if item not in short.indices[row]]
        assert full.indices[row, 12 : 12 + len(others)].tolist() == others
        assert (full.indices[row, 12 + len(others) :] == -1).all()
    assert "remainder" in search.meter.seconds


@every_index
def test_only_quantized_indexes_are_smaller_than_the_vectors(index):
    gallery = vectors(1000, d=128)
    searcher = index.build(gallery)
    assert (searcher.nbytes < gallery.nbytes) == isinstance(index, (FaissSq8, FaissIvfPq))


@every_index
def test_inputs_are_not_modified(index):
    queries, gallery = vectors(4), vectors(40, seed=1)
    before = queries.copy(), gallery.copy()
    rank(index, queries, gallery, 5)
    assert np.array_equal(queries, before[0])
    assert np.array_equal(gallery, before[1])


@every_index
def test_building_is_deterministic(index):
    queries, gallery = clustered(30, seed=1), clustered(300, seed=2)
    first, second = (index.build(gallery).search(queries, 20) for _ in range(2))
    assert np.array_equal(first[0], second[0])
    assert np.array_equal(first[1], second[1])


@pytest.mark.parametrize(
    "index", [FaissHnsw(m=4), FaissSq8(), FaissIvfPq(subquantizers=3, nbits=4), Exact()], ids=str
)
@settings(max_examples=15, deadline=None)
@given(
    n=st.integers(1, 60),
    d=st.integers(1, 9),
    depth=st.integers(1, 70),
    distinct=st.integers(1, 60),
    metric=st.sampled_from(Metric),
    seed=st.integers(0, 5),
)
def test_any_gallery_is_ranked_completely(index, n, d, depth, distinct, metric, seed):
    index.metric = metric
    gallery = np.round(vectors(n, d, seed))[np.arange(n) % distinct]  # duplicates, and zeros
    gallery = l2_normalize(gallery) if metric is Metric.cosine else gallery
    positions, scores = index.build(gallery).search(vectors(4, d, seed + 9), depth)
    assert positions.shape == scores.shape == (4, min(n, depth))
    assert np.isfinite(scores).all()
    assert ((positions >= 0) & (positions < n)).all()
    assert all(len(set(row)) == len(row) for row in positions.tolist())


def test_trees_do_not_support_inner_products():
    with pytest.raises(BenchError, match="index=exact"):
        KdTree(metric=Metric.inner_product).check()


def test_trees_need_leaves_of_at_least_one():
    with pytest.raises(BenchError, match="leaf_size=0"):
        KdTree(leaf_size=0).check()


@pytest.mark.parametrize("metric", Metric, ids=lambda metric: metric.name)
def test_equal_vectors_have_equal_scores_in_many_dimensions(metric):
    """BLAS rounds the last rows of a block differently, which must not separate duplicates."""
    items = np.repeat(vectors(500, d=1280, seed=3), 2, axis=0)[:-1]
    order = tie_order([digest(str(i)) for i in range(len(items))], 0)
    search = VectorSearch(items, index=Exact(metric=metric), order=order)
    queries = vectors(200, d=1280, seed=4)
    result = search.rank(queries, 101, exclusion=exclude_nothing(queries, items))
    tie_rank = np.argsort(order)
    are_duplicates = result.indices[:, :-1] // 2 == result.indices[:, 1:] // 2
    assert are_duplicates.sum() > 200 * 45
    assert (result.scores[:, :-1][are_duplicates] == result.scores[:, 1:][are_duplicates]).all()
    assert (tie_rank[result.indices[:, :-1]] < tie_rank[result.indices[:, 1:]])[
        are_duplicates
    ].all()
    for row in result.indices:  # both of a pair, or the one that is first in the order
        pairs, counts = np.unique(row // 2, return_counts=True)
        for lone in pairs[counts == 1]:
            both = [i for i in (2 * lone, 2 * lone + 1) if i < len(items)]
            assert min(both, key=tie_rank.__getitem__) in row
