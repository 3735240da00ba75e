"""What a search costs beside the comparing: counted, as clocks on shared machines tell little."""

import tracemalloc

import faiss
import numpy as np
import pytest
from outliers_bench.retrieval.indexes.n_trees import KdTree

from outliers_bench.retrieval import search as searches
from outliers_bench.retrieval.indexes import faiss_index
from outliers_bench.retrieval.indexes.exact import Exact
from outliers_bench.retrieval.indexes.hnsw import FaissHnsw
from outliers_bench.retrieval.indexes.index import Metric
from outliers_bench.retrieval.recall import recall_at_10
from outliers_bench.retrieval.search import GallerySearch
from outliers_bench.retrieval.ties import sort_with_ties

RNG = np.random.default_rng(0)
GALLERY = RNG.normal(size=(20_000, 64)).astype(np.float32)
QUERIES = RNG.normal(size=(30, 64)).astype(np.float32)
ORDER = RNG.permutation(len(GALLERY))


@pytest.fixture
def normalized(monkeypatch):
    """Counts the rows that are normalized."""
    counts = []
    normalize = searches.l2_normalize

    def counted(vectors, **options):
        found = normalize(vectors, **options)
        counts.append(len(found))
        return found

    monkeypatch.setattr(searches, "l2_normalize", counted)
    return counts


@pytest.mark.parametrize("index", [Exact(), KdTree()], ids=["exact", "kd_tree"])
def test_the_gallery_is_normalized_once(normalized, index):
    gallery, order = GALLERY[:300], np.argsort(ORDER[:300])
    search = GallerySearch(gallery, index=index, order=order)
    for _ in range(3):
        search.rank(QUERIES, 10)
    assert normalized == [30, 300, 30, 30]


def test_by_other_metrics_nothing_is_normalized(normalized):
    for metric in (Metric.euclidean, Metric.inner_product):
        GallerySearch(GALLERY, index=Exact(metric=metric), order=ORDER).rank(QUERIES, 10)
    assert normalized == []


@pytest.mark.parametrize("metric", Metric, ids=lambda metric: metric.name)
def test_an_exact_search_holds_one_copy_of_the_gallery(metric):
    GallerySearch(GALLERY[:9], index=Exact(), order=np.arange(9)).rank(
        QUERIES, 1
    )  # imports what it needs
    tracemalloc.start()
    search = GallerySearch(GALLERY, index=Exact(metric=metric), order=ORDER)
    search.rank(QUERIES, 10)
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 1.1 * GALLERY.nbytes
    assert peak < 1.9 * GALLERY.nbytes
    assert search.meter.index_bytes == GALLERY.nbytes


def test_building_an_exact_index_copies_nothing():
    tracemalloc.start()
    searcher = Exact().build(GALLERY)
    assert tracemalloc.get_traced_memory()[1] < 0.01 * GALLERY.nbytes
    tracemalloc.stop()
    assert np.array_equal(searcher.search(GALLERY[5:6], 1)[0], [[5]])


def test_recall_of_an_exact_search_looks_at_nothing(normalized):
    search = GallerySearch(GALLERY, index=Exact(), order=ORDER)
    assert recall_at_10(search, QUERIES) is None
    assert normalized == []


def test_the_gallery_in_its_own_order_is_there_for_those_who_ask():
    gallery, order = GALLERY[:50], np.argsort(ORDER[:50])
    for index in (Exact(), FaissHnsw()):
        search = GallerySearch(gallery, index=index, order=order)
        assert np.array_equal(search.gallery[order], search.tie_ordered)
        assert np.array_equal(search.vectors_at(np.array([7, 7, 3])), search.gallery[[7, 7, 3]])


def test_threads_are_no_more_than_the_cores_of_this_process(monkeypatch):
    before = faiss.omp_get_max_threads()
    monkeypatch.setattr(faiss_index, "cores", lambda: 1)
    try:
        faiss.omp_set_num_threads(3)
        GallerySearch(GALLERY[:20], index=Exact(), order=np.arange(20)).rank(QUERIES, 1)
        assert faiss.omp_get_max_threads() == 1
        monkeypatch.setattr(faiss_index, "cores", lambda: 64)
        GallerySearch(GALLERY[:20], index=Exact(), order=np.arange(20)).rank(QUERIES, 1)
        assert faiss.omp_get_max_threads() == 1, "what the user has set is no more than that"
    finally:
        faiss.omp_set_num_threads(before)


@pytest.mark.parametrize("values", [1, 3, 1000])
def test_rows_are_settled_like_pairs_that_are_sorted(values):
    rng = np.random.default_rng(values)
    places = np.array([rng.permutation(40)[:12] for _ in range(200)])
    scores = rng.integers(0, values, (200, 12)).astype(np.float32)
    scores[::2] = -np.sort(-scores[::2], axis=1)  # as an index returns them
    expected = [sorted(pairs) for pairs in paired(scores, places)]
    sort_with_ties(places, scores)
    assert paired(scores, places) == expected


def paired(scores, places):
    rows = zip((-scores).tolist(), places.tolist(), strict=True)
    return [list(zip(*row, strict=True)) for row in rows]
