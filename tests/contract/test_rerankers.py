"""What every re-ranker must satisfy, whatever it looks at."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from outliers_bench.errors import BenchError
from outliers_bench.retrieval import build_or_load_graph, ties
from outliers_bench.retrieval import search as search_module
from outliers_bench.retrieval.indexes.exact import Exact
from outliers_bench.retrieval.indexes.index import Metric
from outliers_bench.retrieval.indexes.trees import KdTree
from outliers_bench.retrieval.rerank import alpha_qe, dba, k_reciprocal_encoding, shortlist
from outliers_bench.retrieval.rerank.alpha_qe import AlphaQueryExpansion
from outliers_bench.retrieval.rerank.base import Rerank
from outliers_bench.retrieval.rerank.collaborative_filtering import CollaborativeFiltering
from outliers_bench.retrieval.rerank.dba import DatabaseAugmentation, Weights
from outliers_bench.retrieval.rerank.diffusion import Diffusion
from outliers_bench.retrieval.rerank.k_reciprocal import KReciprocal
from outliers_bench.retrieval.search import GallerySearch, tie_order
from outliers_bench.runtime.meter import Meter
from tests.toys import digest

CASES = {
    "none": Rerank(),
    "alpha_qe": AlphaQueryExpansion(),
    "dba": DatabaseAugmentation(k=5),
    "dba, by similarity": DatabaseAugmentation(k=3, weights=Weights.similarity),
    "k_reciprocal": KReciprocal(),
    "k_reciprocal, short": KReciprocal(shortlist=15, k1=6, k2=3),
    "k_reciprocal, all": KReciprocal(shortlist=None, k1=4, k2=1),
    "diffusion": Diffusion(),
    "diffusion, short": Diffusion(shortlist=15, k=6, kq=3),
    "collaborative_filtering": CollaborativeFiltering(),
    "collaborative_filtering, short": CollaborativeFiltering(shortlist=15, k=6, history=3),
}


@pytest.fixture(autouse=True)
def no_bars(monkeypatch):
    """Each starts a thread, which takes longer than most of what is tested here."""
    for module in (build_or_load_graph, k_reciprocal_encoding, search_module, shortlist):
        monkeypatch.setattr(module, "track", lambda items, **_: iter(items))


@pytest.fixture(params=CASES)
def reranker(request):
    return CASES[request.param]


def vectors(n, seed, *, d=12, groups=8, noise=0.7):
    """Vectors about a few centers, and which."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, groups, n)
    centers = np.random.default_rng(99).normal(size=(groups, d))
    return (centers[labels] + noise * rng.normal(size=(n, d))).astype(np.float32), labels


GALLERY, QUERIES = vectors(110, 1)[0], vectors(70, 2)[0]


def search_over(gallery, *, index=None, seed=0, digests=None, **options):
    digests = digests or [digest(str(i)) for i in range(len(gallery))]
    index = index or Exact()
    return GallerySearch(gallery, index=index, order=tie_order(digests, seed), **options)


def ranked(reranker, queries, gallery, depth, **options):
    return reranker.rank(search_over(gallery, **options), queries, depth)


def assert_whole(ranking, n_query, depth, n):
    assert ranking.indices.dtype == np.int64
    assert ranking.scores.dtype == np.float32
    assert ranking.indices.shape == ranking.scores.shape == (n_query, depth)
    assert np.isfinite(ranking.scores).all()
    if depth and n_query:
        assert ranking.indices.max() < n


@pytest.mark.parametrize("leave_one_out", [False, True])
def test_any_depth_is_the_beginning_of_the_whole(reranker, leave_one_out):
    queries = GALLERY if leave_one_out else QUERIES
    whole_depth = 110 - leave_one_out
    whole = ranked(reranker, queries, GALLERY, whole_depth, leave_one_out=leave_one_out)
    assert_whole(whole, len(queries), whole_depth, 110)
    for depth in (1, 40):
        some = ranked(reranker, queries, GALLERY, depth, leave_one_out=leave_one_out)
        assert_whole(some, len(queries), depth, 110)
        assert np.array_equal(some.indices, whole.indices[:, :depth])
        assert np.allclose(some.scores, whole.scores[:, :depth], atol=1e-5)


def test_the_same_query_alone_or_among_others(reranker):
    whole = ranked(reranker, QUERIES, GALLERY, 60)
    for row in (0, 33, 69):
        alone = ranked(reranker, QUERIES[row : row + 1], GALLERY, 60)
        assert np.array_equal(alone.indices[0], whole.indices[row])
        assert np.allclose(alone.scores[0], whole.scores[row], atol=1e-5)


@pytest.mark.parametrize("leave_one_out", [False, True])
def test_blocks_give_what_one_block_gives(reranker, leave_one_out, monkeypatch):
    queries = GALLERY if leave_one_out else QUERIES
    whole = ranked(reranker, queries, GALLERY, 30, leave_one_out=leave_one_out)
    monkeypatch.setattr(build_or_load_graph, "BLOCK_ROWS", 40)
    monkeypatch.setattr(k_reciprocal_encoding, "BLOCK_ROWS", 33)
    monkeypatch.setattr(shortlist, "SCORED_ITEMS", 1000)
    for module in (ties, alpha_qe, dba, k_reciprocal_encoding):
        monkeypatch.setattr(module, "PAIR_VALUES", 5000)
    for module in (shortlist, dba):
        monkeypatch.setattr(module, "BLOCK_ITEMS", 1)
    blocked = ranked(reranker, queries, GALLERY, 30, leave_one_out=leave_one_out)
    assert np.array_equal(blocked.indices, whole.indices)
    assert np.allclose(blocked.scores, whole.scores, atol=1e-5)


def test_a_query_left_out_tells_nothing_else(reranker):
    """Ranked among all others, an item finds what it finds in a gallery that never had it."""
    found = ranked(reranker, GALLERY, GALLERY, 109, leave_one_out=True)
    assert not (found.indices == np.arange(110)[:, None]).any()
    if isinstance(reranker, KReciprocal):
        return  # there, a query is a node of the gallery's graph, as it was published
    digests = [digest(str(i)) for i in range(110)]
    for item in range(0, 110, 27):
        others = np.delete(np.arange(110), item)
        kept = [digests[i] for i in others]
        apart = ranked(reranker, GALLERY[item][None], GALLERY[others], 109, digests=kept)
        assert np.array_equal(found.indices[item], others[apart.indices[0]])
        assert np.allclose(found.scores[item], apart.scores[0], atol=1e-5)


def test_hubs_are_left_out_of_all_that_they_are_mixed_into():
    """One item among everybody's nearest: everything has to be compared again without it."""
    rng = np.random.default_rng(0)
    spokes = np.eye(40, dtype=np.float32) + rng.normal(size=(40, 40)).astype(np.float32) / 50
    items = np.vstack([spokes.sum(axis=0, keepdims=True), spokes])
    digests = [digest(str(i)) for i in range(41)]
    for reranker in (CASES["dba"], CASES["dba, by similarity"]):
        found = ranked(reranker, items, items, 5, leave_one_out=True)
        apart = ranked(reranker, items[:1], items[1:], 5, digests=digests[1:])
        assert np.array_equal(found.indices[0], apart.indices[0] + 1)


def test_shortlist_is_reordered_and_the_rest_is_not():
    plain = ranked(Rerank(), QUERIES, GALLERY, 110)
    for reranker in CASES.values():
        if isinstance(reranker, shortlist.ShortlistRerank) and reranker.shortlist == 15:
            found = ranked(reranker, QUERIES, GALLERY, 110)
            assert np.array_equal(found.indices[:, 15:], plain.indices[:, 15:])
            heads = (np.sort(ranking.indices[:, :15], axis=1) for ranking in (found, plain))
            assert np.array_equal(*heads)
            assert not np.array_equal(found.indices, plain.indices)


@pytest.mark.parametrize("leave_one_out", [False, True])
@pytest.mark.parametrize("n", [1, 2, 12])
def test_small_galleries(reranker, n, leave_one_out):
    queries = GALLERY[:n] if leave_one_out else QUERIES[:3]
    depth = n - leave_one_out
    found = ranked(reranker, queries, GALLERY[:n], depth, leave_one_out=leave_one_out)
    assert_whole(found, len(queries), depth, n)


def test_no_queries(reranker):
    assert_whole(ranked(reranker, QUERIES[:0], GALLERY, 4), 0, 4, 110)


@pytest.mark.parametrize("leave_one_out", [False, True])
def test_zero_vectors_and_copies(reranker, leave_one_out):
    gallery = GALLERY[:60].copy()
    gallery[10:30] = gallery[3]
    gallery[40:55] = 0
    gallery[55] = -gallery[3]
    queries = gallery if leave_one_out else gallery[[0, 3, 41, 55]]
    depth = 60 - leave_one_out
    found = ranked(reranker, queries, gallery, depth, leave_one_out=leave_one_out)
    assert_whole(found, len(queries), depth, 60)


@pytest.mark.parametrize("blank", [False, True])
def test_equals_follow_the_given_order(reranker, blank):
    gallery = np.tile(GALLERY[:1] * (not blank), (50, 1))
    search = search_over(gallery, seed=3)
    found = reranker.rank(search, QUERIES[:2], 50)
    assert np.array_equal(found.indices, np.tile(search.order, (2, 1)))
    search = search_over(gallery, seed=3, leave_one_out=True)
    found = reranker.rank(search, gallery, 49)
    for item in range(0, 50, 7):
        assert found.indices[item].tolist() == [i for i in search.order if i != item]


def test_order_of_files_decides_nothing(reranker):
    gallery = np.repeat(GALLERY[:30], 3, axis=0)
    digests = [digest(str(i)) for i in range(90)]
    shuffle = np.random.default_rng(6).permutation(90)
    moved_digests = [digests[i] for i in shuffle]
    plain = ranked(reranker, QUERIES[:20], gallery, 50, digests=digests)
    moved = ranked(reranker, QUERIES[:20], gallery[shuffle], 50, digests=moved_digests)
    assert np.array_equal(shuffle[moved.indices], plain.indices)


def test_another_index_finds_the_same(reranker):
    exact = ranked(reranker, QUERIES, GALLERY, 50)
    tree = ranked(reranker, QUERIES, GALLERY, 50, index=KdTree())
    assert np.array_equal(exact.indices, tree.indices)


def test_inputs_are_left_alone(reranker):
    queries, gallery = QUERIES[:5].copy(), GALLERY.copy()
    ranked(reranker, queries, gallery, 20)
    assert np.array_equal(queries, QUERIES[:5])
    assert np.array_equal(gallery, GALLERY)


def test_a_second_run_finds_the_graph_again(reranker, tmp_path, monkeypatch):
    first = ranked(reranker, QUERIES, GALLERY, 20, cache=tmp_path)
    without_graph = type(reranker) in (Rerank, AlphaQueryExpansion)
    assert len(list(tmp_path.rglob("graphs/*.npz"))) == int(not without_graph)
    monkeypatch.setattr(build_or_load_graph, "_found", None)
    again = ranked(reranker, QUERIES, GALLERY, 20, cache=tmp_path)
    assert np.array_equal(first.indices, again.indices)
    assert np.array_equal(first.scores, again.scores)


def arcs(n, seed, *, d=24, groups=10):
    """Classes that are bent: one end is nearer to other classes than to the other end."""
    planes = np.random.default_rng(99).normal(size=(groups, 2, d))
    planes /= np.linalg.norm(planes, axis=2, keepdims=True)
    rng = np.random.default_rng(seed)
    labels, angle = rng.integers(0, groups, n), rng.uniform(0, 2.5, n)
    ends = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    exact = np.einsum("ne,ned->nd", ends, planes[labels])
    return (exact + 0.7 * rng.normal(size=(n, d)) / np.sqrt(d)).astype(np.float32), labels


@pytest.mark.parametrize("leave_one_out", [False, True])
@pytest.mark.parametrize("name", [name for name in CASES if name.isidentifier() and name != "none"])
def test_helps_where_neighbors_are_alike(name, leave_one_out):
    gallery, kinds = arcs(400, 11)
    queries, asked = (gallery, kinds) if leave_one_out else arcs(100, 12)

    def average_precision(rerank):
        found = ranked(rerank, queries, gallery, 150, leave_one_out=leave_one_out).indices
        right = kinds[found] == asked[:, None]
        precision = np.cumsum(right, axis=1) / np.arange(1, 151)
        return (precision * right).sum(axis=1).mean() / 40

    plain = average_precision(Rerank())
    assert 0.6 < plain < 0.8
    assert average_precision(CASES[name]) >= plain + 0.02


@pytest.mark.parametrize("name", ["dba", "k_reciprocal", "diffusion", "collaborative_filtering"])
def test_no_matrix_of_all_pairs(name, monkeypatch):
    reranker = CASES[name]
    n = 2500
    monkeypatch.setattr(build_or_load_graph, "BLOCK_ROWS", 32)
    monkeypatch.setattr(k_reciprocal_encoding, "BLOCK_ROWS", 64)
    for module in (ties, alpha_qe, dba, k_reciprocal_encoding):
        monkeypatch.setattr(module, "PAIR_VALUES", 20_000)
    gallery = vectors(n, 3, d=8)[0]
    search = search_over(gallery)
    tracemalloc.start()
    reranker.rank(search, QUERIES[:5, :8], 20)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * n * n, "less than one number a pair"


def test_time_is_taken_down(reranker):
    meter = Meter()
    ranked(reranker, QUERIES, GALLERY, 10, meter=meter)
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


@pytest.mark.parametrize("metric", [Metric.euclidean, Metric.inner_product])
def test_other_metrics_are_refused_before_any_work(reranker, metric):
    if type(reranker) is Rerank:
        reranker.check_metric(metric)
        return
    with pytest.raises(BenchError, match=rf"rerank={reranker.name} .* index\.metric=cosine"):
        reranker.check_metric(metric)
    with pytest.raises(BenchError, match=r"index\.metric=cosine"):
        ranked(reranker, QUERIES, GALLERY, 5, index=Exact(metric=metric))


def test_options_that_work(reranker):
    reranker.check()
    reranker.check_metric(Metric.cosine)
    assert reranker.depth == 0
    assert (reranker.label == "") == (type(reranker) is Rerank)


@pytest.mark.parametrize(
    ("reranker", "option"),
    [
        (AlphaQueryExpansion(), {"n": 0}),
        (AlphaQueryExpansion(), {"alpha": -1.0}),
        (AlphaQueryExpansion(), {"alpha": float("nan")}),
        (DatabaseAugmentation(), {"k": 0}),
        (DatabaseAugmentation(), {"alpha": float("inf")}),
        (KReciprocal(), {"shortlist": 0}),
        (KReciprocal(), {"k1": 0}),
        (KReciprocal(), {"k2": 0}),
        (KReciprocal(), {"lambda_value": 1.1}),
        (Diffusion(), {"shortlist": None}),
        (Diffusion(), {"shortlist": 4}),
        (Diffusion(), {"shortlist": 100_000}),
        (Diffusion(), {"k": 0}),
        (Diffusion(), {"kq": 0}),
        (Diffusion(), {"gamma": -0.1}),
        (Diffusion(), {"alpha": 1.0}),
        (CollaborativeFiltering(), {"history": 0}),
        (CollaborativeFiltering(), {"history": 201}),
        (CollaborativeFiltering(), {"k": 0}),
        (CollaborativeFiltering(), {"weight": -0.1}),
    ],
    ids=str,
)
def test_options_that_cannot_work_are_named(reranker, option):
    (name,) = option
    with pytest.raises(BenchError, match=rf"rerank\.{name}="):
        replace(reranker, **option).check()
