"""Overhead of a search, by counts and memory, since times on shared machines are unreliable."""

import tracemalloc

import faiss
import numpy as np
import pytest

from outliers_bench.retrieval import search as searches
from outliers_bench.retrieval import ties
from outliers_bench.retrieval.indexes import faiss_index
from outliers_bench.retrieval.indexes.exact import Exact
from outliers_bench.retrieval.indexes.hnsw import FaissHnsw
from outliers_bench.retrieval.indexes.index import Metric
from outliers_bench.retrieval.indexes.trees import KdTree
from outliers_bench.retrieval.recall import recall_at_10
from outliers_bench.retrieval.search import VectorSearch
from outliers_bench.retrieval.ties import sort_with_ties
from tests.toys import exclude_nothing

RNG = np.random.default_rng(0)
GALLERY = RNG.normal(size=(20_000, 64)).astype(np.float32)
QUERIES = RNG.normal(size=(30, 64)).astype(np.float32)
ORDER = RNG.permutation(len(GALLERY))


@pytest.fixture
def normalized(monkeypatch):
    """Numbers of rows that are normalized."""
    counts = []
    normalize = searches.l2_normalize

    def counted(vectors, **options):
        result = normalize(vectors, **options)
        counts.append(len(result))
        return result

    monkeypatch.setattr(searches, "l2_normalize", counted)
    return counts


def rank_first(n):
    search = VectorSearch(GALLERY[:n], index=Exact(), order=np.arange(n))
    search.rank(QUERIES, 1, exclusion=exclude_nothing(QUERIES, search))


@pytest.mark.parametrize("index", [Exact(), KdTree()], ids=["exact", "kd_tree"])
def test_the_gallery_is_normalized_once(normalized, index):
    gallery, order = GALLERY[:300], np.argsort(ORDER[:300])
    search = VectorSearch(gallery, index=index, order=order)
    for _ in range(3):
        search.rank(QUERIES, 10, exclusion=exclude_nothing(QUERIES, gallery))
    assert normalized == [30, 300, 30, 30]


def test_other_metrics_do_not_normalize(normalized):
    for metric in (Metric.euclidean, Metric.inner_product):
        search = VectorSearch(GALLERY, index=Exact(metric=metric), order=ORDER)
        search.rank(QUERIES, 10, exclusion=exclude_nothing(QUERIES, GALLERY))
    assert normalized == []


@pytest.mark.parametrize("metric", Metric, ids=lambda metric: metric.name)
def test_an_exact_search_stores_one_copy_of_the_gallery(metric):
    rank_first(9)  # imports what it needs
    tracemalloc.start()
    search = VectorSearch(GALLERY, index=Exact(metric=metric), order=ORDER)
    search.rank(QUERIES, 10, exclusion=exclude_nothing(QUERIES, GALLERY))
    current, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert current < 1.1 * GALLERY.nbytes
    assert peak < 1.9 * GALLERY.nbytes
    assert search.meter.index_bytes == GALLERY.nbytes


def test_building_an_exact_index_does_not_copy():
    tracemalloc.start()
    searcher = Exact().build(GALLERY)
    assert tracemalloc.get_traced_memory()[1] < 0.01 * GALLERY.nbytes
    tracemalloc.stop()
    assert np.array_equal(searcher.search(GALLERY[5:6], 1)[0], [[5]])


def test_recall_of_an_exact_search_compares_nothing(normalized):
    search = VectorSearch(GALLERY, index=Exact(), order=ORDER)
    nothing = exclude_nothing(QUERIES, GALLERY)
    assert recall_at_10(search, QUERIES, depth=10, exclusion=nothing) is None
    assert normalized == []


def test_gallery_is_in_the_given_order():
    gallery, order = GALLERY[:50], np.argsort(ORDER[:50])
    for index in (Exact(), FaissHnsw()):
        search = VectorSearch(gallery, index=index, order=order)
        assert np.array_equal(search.gallery[order], search.tie_ordered)
        assert np.array_equal(search.vectors_at(np.array([7, 7, 3])), search.gallery[[7, 7, 3]])


def test_threads_are_limited_to_the_cores_of_this_process(monkeypatch):
    before = faiss.omp_get_max_threads()
    monkeypatch.setattr(faiss_index, "cores", lambda: 1)
    try:
        faiss.omp_set_num_threads(3)
        rank_first(20)
        assert faiss.omp_get_max_threads() == 1
        monkeypatch.setattr(faiss_index, "cores", lambda: 64)
        rank_first(20)
        assert faiss.omp_get_max_threads() == 1, "a lower limit of the user is respected"
    finally:
        faiss.omp_set_num_threads(before)


@pytest.mark.parametrize("metric", Metric, ids=lambda metric: metric.name)
def test_close_scores_are_equal_in_both_ways_of_comparing(metric, monkeypatch):
    """One vector after another, or those that are close gathered: to the last bit."""
    gallery = GALLERY[:400].copy()
    gallery[100:] = gallery[ORDER[:300] % 100] + RNG.normal(0, 1e-7, (300, 64)).astype(np.float32)
    results = []
    for gathered in (0, 10**6):
        monkeypatch.setattr(ties, "_GATHERED", gathered)
        search = VectorSearch(gallery, index=Exact(metric=metric), order=ORDER[ORDER < 400])
        results.append(search.rank(QUERIES, 350, exclusion=exclude_nothing(QUERIES, gallery)))
    assert np.array_equal(results[0].indices, results[1].indices)
    assert np.array_equal(results[0].scores, results[1].scores)
    assert (np.diff(results[0].scores) == 0).any()


@pytest.mark.parametrize("values", [1, 3, 1000])
def test_sort_with_ties_against_sorted_pairs(values):
    rng = np.random.default_rng(values)
    positions = np.array([rng.permutation(40)[:12] for _ in range(200)])
    scores = rng.integers(0, values, (200, 12)).astype(np.float32)
    scores[::2] = -np.sort(-scores[::2], axis=1)  # as an index returns them
    expected = [sorted(pairs) for pairs in paired(scores, positions)]
    sort_with_ties(positions, scores)
    assert paired(scores, positions) == expected


def paired(scores, positions):
    rows = zip((-scores).tolist(), positions.tolist(), strict=True)
    return [list(zip(*row, strict=True)) for row in rows]
