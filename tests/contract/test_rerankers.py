"""Contract of all re-rankers: results, ties, leave-one-out, cache, memory."""

import tracemalloc

import numpy as np
import pytest

from outliers_bench.retrieval import neighbors, ties
from outliers_bench.retrieval import search as search_module
from outliers_bench.retrieval.indexes.trees import KdTree
from outliers_bench.retrieval.rerank import alpha_qe, dba, k_reciprocal_encoding, shortlist
from outliers_bench.retrieval.rerank.alpha_qe import AlphaQueryExpansion
from outliers_bench.retrieval.rerank.base import Rerank
from outliers_bench.retrieval.rerank.dba import DatabaseAugmentation
from outliers_bench.runtime.meter import Meter
from outliers_bench.types import Exclusion, join_blocks
from tests.contract.reranker_cases import (
    CASES,
    GALLERY,
    QUERIES,
    assert_valid,
    rerank_gallery,
    search_over,
    vectors,
)
from tests.toys import digest, exclude_nothing


@pytest.fixture(autouse=True)
def no_progress_bars(monkeypatch):
    """Disable progress bars, whose threads take longer than most tests."""
    for module in (neighbors, k_reciprocal_encoding, search_module, shortlist):
        monkeypatch.setattr(module, "track", lambda items, **_: iter(items))


@pytest.fixture(params=CASES)
def reranker(request):
    return CASES[request.param]


@pytest.mark.parametrize("leave_one_out", [False, True])
def test_a_ranking_is_a_prefix_of_the_full_one(reranker, leave_one_out):
    queries = GALLERY if leave_one_out else QUERIES
    full_depth = 110 - leave_one_out
    full = rerank_gallery(reranker, queries, GALLERY, full_depth, leave_one_out=leave_one_out)
    assert_valid(full, len(queries), full_depth, 110)
    for depth in (1, 40):
        short = rerank_gallery(reranker, queries, GALLERY, depth, leave_one_out=leave_one_out)
        assert_valid(short, len(queries), depth, 110)
        assert np.array_equal(short.indices, full.indices[:, :depth])
        assert np.allclose(short.scores, full.scores[:, :depth], atol=1e-5)


def test_results_do_not_depend_on_other_queries(reranker):
    full = rerank_gallery(reranker, QUERIES, GALLERY, 60)
    for row in (0, 33, 69):
        alone = rerank_gallery(reranker, QUERIES[row : row + 1], GALLERY, 60)
        assert np.array_equal(alone.indices[0], full.indices[row])
        assert np.allclose(alone.scores[0], full.scores[row], atol=1e-5)


@pytest.mark.parametrize("leave_one_out", [False, True])
def test_results_do_not_depend_on_the_block_size(reranker, leave_one_out, monkeypatch):
    queries = GALLERY if leave_one_out else QUERIES
    full = rerank_gallery(reranker, queries, GALLERY, 30, leave_one_out=leave_one_out)
    monkeypatch.setattr(neighbors, "BLOCK_ROWS", 40)
    monkeypatch.setattr(k_reciprocal_encoding, "BLOCK_ROWS", 33)
    monkeypatch.setattr(shortlist, "SCORED_ITEMS", 1000)
    for module in (ties, alpha_qe, dba, k_reciprocal_encoding):
        monkeypatch.setattr(module, "PAIR_VALUES", 5000)
    monkeypatch.setattr(shortlist, "BLOCK_ITEMS", 1)
    blocked = rerank_gallery(reranker, queries, GALLERY, 30, leave_one_out=leave_one_out)
    assert np.array_equal(blocked.indices, full.indices)
    assert np.allclose(blocked.scores, full.scores, atol=1e-5)


@pytest.mark.parametrize("excluded", ["nothing", "itself", "camera"])
def test_the_full_ranking_continues_a_short_one(reranker, excluded):
    queries = QUERIES if excluded == "nothing" else GALLERY
    camera = np.arange(110) % 5
    exclusion = {
        "nothing": exclude_nothing(QUERIES, GALLERY),
        "itself": Exclusion.itself(110),
        "camera": Exclusion.same_value(camera, camera),
    }[excluded]
    deep = exclusion.max_depth
    deepest = rerank_gallery(reranker, queries, GALLERY, deep, exclusion=exclusion)
    for depth in (1, 20):
        blocks = reranker.rank_blocks(
            search_over(GALLERY), queries, depth, exclusion=exclusion, full=True
        )
        full = join_blocks(blocks, len(queries), 110)
        assert np.array_equal(full.indices[:, :deep], deepest.indices)
        assert np.allclose(full.scores[:, :deep], deepest.scores, atol=1e-5)
        assert (full.indices[:, deep:] == -1).all()


def test_only_the_shortlist_is_reordered():
    original = rerank_gallery(Rerank(), QUERIES, GALLERY, 110)
    for reranker in CASES.values():
        if isinstance(reranker, shortlist.ShortlistRerank) and reranker.shortlist == 15:
            result = rerank_gallery(reranker, QUERIES, GALLERY, 110)
            assert np.array_equal(result.indices[:, 15:], original.indices[:, 15:])
            heads = (np.sort(ranking.indices[:, :15], axis=1) for ranking in (result, original))
            assert np.array_equal(*heads)
            assert not np.array_equal(result.indices, original.indices)


@pytest.mark.parametrize("leave_one_out", [False, True])
@pytest.mark.parametrize("n", [1, 2, 12])
def test_small_galleries(reranker, n, leave_one_out):
    queries = GALLERY[:n] if leave_one_out else QUERIES[:3]
    depth = n - leave_one_out
    result = rerank_gallery(reranker, queries, GALLERY[:n], depth, leave_one_out=leave_one_out)
    assert_valid(result, len(queries), depth, n)


def test_no_queries(reranker):
    assert_valid(rerank_gallery(reranker, QUERIES[:0], GALLERY, 4), 0, 4, 110)


@pytest.mark.parametrize("leave_one_out", [False, True])
def test_zero_vectors_and_duplicates(reranker, leave_one_out):
    gallery = GALLERY[:60].copy()
    gallery[10:30] = gallery[3]
    gallery[40:55] = 0
    gallery[55] = -gallery[3]
    queries = gallery if leave_one_out else gallery[[0, 3, 41, 55]]
    depth = 60 - leave_one_out
    result = rerank_gallery(reranker, queries, gallery, depth, leave_one_out=leave_one_out)
    assert_valid(result, len(queries), depth, 60)


@pytest.mark.parametrize("blank", [False, True])
def test_ties_follow_the_given_order(reranker, blank):
    gallery = np.tile(GALLERY[:1] * (not blank), (50, 1))
    search = search_over(gallery, seed=3)
    result = reranker.rank(search, QUERIES[:2], 50, exclusion=exclude_nothing(QUERIES[:2], gallery))
    assert np.array_equal(result.indices, np.tile(search.order, (2, 1)))
    result = reranker.rank(search, gallery, 49, exclusion=Exclusion.itself(50))
    for item in range(0, 50, 7):
        assert result.indices[item].tolist() == [i for i in search.order if i != item]


def test_results_do_not_depend_on_the_order_of_files(reranker):
    gallery = np.repeat(GALLERY[:30], 3, axis=0)
    digests = [digest(str(i)) for i in range(90)]
    shuffle = np.random.default_rng(6).permutation(90)
    moved_digests = [digests[i] for i in shuffle]
    original = rerank_gallery(reranker, QUERIES[:20], gallery, 50, digests=digests)
    moved = rerank_gallery(reranker, QUERIES[:20], gallery[shuffle], 50, digests=moved_digests)
    assert np.array_equal(shuffle[moved.indices], original.indices)


def test_another_exact_index_gives_the_same_result(reranker):
    exact = rerank_gallery(reranker, QUERIES, GALLERY, 50)
    tree = rerank_gallery(reranker, QUERIES, GALLERY, 50, index=KdTree())
    assert np.array_equal(exact.indices, tree.indices)


def test_inputs_are_not_modified(reranker):
    queries, gallery = QUERIES[:5].copy(), GALLERY.copy()
    rerank_gallery(reranker, queries, gallery, 20)
    assert np.array_equal(queries, QUERIES[:5])
    assert np.array_equal(gallery, GALLERY)


def test_a_second_run_reads_the_cached_graph(reranker, tmp_path, monkeypatch):
    first = rerank_gallery(reranker, QUERIES, GALLERY, 20, cache=tmp_path)
    without_graph = type(reranker) in (Rerank, AlphaQueryExpansion)
    assert len(list(tmp_path.rglob("graphs/*.npz"))) == int(not without_graph)
    monkeypatch.setattr(neighbors, "_build_graph", None)
    again = rerank_gallery(reranker, QUERIES, GALLERY, 20, cache=tmp_path)
    assert np.array_equal(first.indices, again.indices)
    assert np.array_equal(first.scores, again.scores)


def arcs(n, seed, *, d=24, groups=10):
    """Create curved classes: one end is nearer to other classes than to the other end."""
    planes = np.random.default_rng(99).normal(size=(groups, 2, d))
    planes /= np.linalg.norm(planes, axis=2, keepdims=True)
    rng = np.random.default_rng(seed)
    labels, angle = rng.integers(0, groups, n), rng.uniform(0, 2.5, n)
    ends = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    exact = np.einsum("ne,ned->nd", ends, planes[labels])
    return (exact + 0.7 * rng.normal(size=(n, d)) / np.sqrt(d)).astype(np.float32), labels


@pytest.mark.parametrize("leave_one_out", [False, True])
@pytest.mark.parametrize("name", [name for name in CASES if name.isidentifier() and name != "none"])
def test_improves_rankings_of_curved_classes(name, leave_one_out):
    gallery, labels = arcs(400, 11)
    queries, query_labels = (gallery, labels) if leave_one_out else arcs(100, 12)

    def average_precision(rerank):
        result = rerank_gallery(rerank, queries, gallery, 150, leave_one_out=leave_one_out).indices
        is_relevant = labels[result] == query_labels[:, None]
        precision = np.cumsum(is_relevant, axis=1) / np.arange(1, 151)
        return (precision * is_relevant).sum(axis=1).mean() / 40

    baseline = average_precision(Rerank())
    assert 0.6 < baseline < 0.8
    assert average_precision(CASES[name]) >= baseline + 0.02


@pytest.mark.parametrize("name", ["dba", "k_reciprocal", "diffusion", "collaborative_filtering"])
def test_memory_is_less_than_that_of_all_pairs(name, monkeypatch):
    reranker = CASES[name]
    n = 2500
    monkeypatch.setattr(neighbors, "BLOCK_ROWS", 32)
    monkeypatch.setattr(k_reciprocal_encoding, "BLOCK_ROWS", 64)
    for module in (ties, alpha_qe, dba, k_reciprocal_encoding):
        monkeypatch.setattr(module, "PAIR_VALUES", 20_000)
    gallery = vectors(n, 3, d=8)[0]
    search = search_over(gallery)
    tracemalloc.start()
    queries = QUERIES[:5, :8]
    reranker.rank(search, queries, 20, exclusion=exclude_nothing(queries, gallery))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * n * n, "less than one value per pair"


def test_times_are_recorded(reranker):
    meter = Meter()
    rerank_gallery(reranker, QUERIES, GALLERY, 10, meter=meter)
    stages = set(meter.seconds) - {"index"}
    if type(reranker) is Rerank:
        assert stages == {"search"}
    elif isinstance(reranker, AlphaQueryExpansion):
        assert stages == {"search", "rerank"}
    elif isinstance(reranker, DatabaseAugmentation):
        assert stages == {"search", "graph"}
    else:
        assert stages == {"search", "rerank", "graph"}
        assert meter.seconds["search"] > meter.seconds["rerank"]
