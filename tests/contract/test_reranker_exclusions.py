"""Contract of all re-rankers: a query's excluded images might as well not be in the gallery."""

import numpy as np
import pytest

from outliers_bench.retrieval.rerank.k_reciprocal import KReciprocal
from outliers_bench.retrieval.rerank.k_reciprocal_encoding import Encodings
from outliers_bench.types import Exclusion
from tests.contract.reranker_cases import CASES, GALLERY, QUERIES, rerank_gallery
from tests.toys import digest


@pytest.fixture(params=CASES)
def reranker(request):
    return CASES[request.param]


def test_leave_one_out_equals_a_gallery_without_the_query(reranker):
    """The ranking of an item equals that in a gallery that never contained it."""
    result = rerank_gallery(reranker, GALLERY, GALLERY, 109, leave_one_out=True)
    assert not (result.indices == np.arange(110)[:, None]).any()
    if isinstance(reranker, KReciprocal):
        return  # a query is a node of the gallery's graph, as in the paper
    digests = [digest(str(i)) for i in range(110)]
    for item in range(0, 110, 27):
        others = np.delete(np.arange(110), item)
        remaining = [digests[i] for i in others]
        separate = rerank_gallery(
            reranker, GALLERY[item][None], GALLERY[others], 109, digests=remaining
        )
        assert np.array_equal(result.indices[item], others[separate.indices[0]])
        assert np.allclose(result.scores[item], separate.scores[0], atol=1e-5)


@pytest.mark.parametrize("one_set", [False, True])
def test_an_exclusion_equals_a_gallery_without_the_images(reranker, one_set):
    """Images of the query's camera neither appear nor affect the ranking of the others."""
    cameras = np.random.default_rng(2).permutation(np.arange(110) % 5).astype(object)
    cameras[::20] = None  # unknown
    queries = GALLERY if one_set else QUERIES
    own = cameras if one_set else np.array(["elsewhere", *cameras[1:70]], dtype=object)
    exclusion = Exclusion.same_value(own, cameras, own=np.arange(110) if one_set else None)
    depth = exclusion.max_depth
    assert depth == 110 - one_set
    result = rerank_gallery(reranker, queries, GALLERY, depth, exclusion=exclusion)
    digests = [digest(str(i)) for i in range(110)]
    for row in [0, *range(1, len(queries), 13)]:  # the first excludes at most itself
        others = np.array(
            [
                item
                for item in range(110)
                if not (cameras[item] is not None and cameras[item] == own[row])
                and not (one_set and item == row)
            ]
        )
        remaining = [digests[i] for i in others]
        left = len(others)
        separate = rerank_gallery(
            reranker, queries[row][None], GALLERY[others], left, digests=remaining
        )
        assert np.array_equal(result.indices[row, :left], others[separate.indices[0]])
        assert np.allclose(result.scores[row, :left], separate.scores[0], atol=1e-5)
        assert (result.indices[row, left:] == -1).all()


@pytest.mark.parametrize("n", [4, 12, 30])
def test_exclusions_of_most_of_a_small_gallery(reranker, n):
    """Several rules, equal vectors, queries with few or no images left: as without the images."""
    rng = np.random.default_rng(n)
    gallery = GALLERY[rng.integers(0, n, n)]
    queries = np.vstack([gallery[:6], QUERIES[:6]])
    values = (rng.integers(0, 3, n).astype(object) for _ in range(2))
    rules = [Exclusion.same_value(rng.integers(0, 3, len(queries)), value) for value in values]
    exclusion = Exclusion.any_of(rules)
    full = rerank_gallery(reranker, queries, gallery, n, exclusion=exclusion)
    short = rerank_gallery(reranker, queries, gallery, 2, exclusion=exclusion)
    assert np.array_equal(short.indices, full.indices[:, :2])
    digests = [digest(str(i)) for i in range(n)]
    for row, query in enumerate(queries):
        left = np.flatnonzero(~exclusion.mask(np.array([row]), np.arange(n)[None])[0])
        assert (full.indices[row, len(left) :] == -1).all()
        if left.size:
            remaining = [digests[i] for i in left]
            separate = rerank_gallery(
                reranker, query[None], gallery[left], len(left), digests=remaining
            )
            assert np.array_equal(full.indices[row, : len(left)], left[separate.indices[0]])


@pytest.mark.parametrize("k1", [1, 2, 6])
def test_encodings_average_over_fewer_items_than_k2(k1):
    """The lists of the remaining items have the same start, and are shorter."""
    gallery = np.random.default_rng(0).normal(size=(12, 8)).astype(np.float32)
    gallery[:4] = gallery[0] + gallery[:4] / 4
    queries = gallery[:2] + 0.1
    exclusion = Exclusion.same_value(np.ones(2), np.arange(12) > 3)
    reranker, digests = KReciprocal(k1=k1, k2=6), [digest(str(i)) for i in range(12)]
    result = rerank_gallery(reranker, queries, gallery, 4, exclusion=exclusion)
    separate = rerank_gallery(reranker, queries, gallery[:4], 4, digests=digests[:4])
    assert np.array_equal(result.indices, separate.indices)
    assert np.allclose(result.scores, separate.scores, atol=1e-6)


def test_a_gallery_is_encoded_once_for_each_set_of_excluded_images(monkeypatch):
    """Queries that exclude nothing, each with a value of its own, have the encodings of all."""
    sets = []
    without = Encodings.without
    monkeypatch.setattr(
        Encodings, "without", lambda *given, **k: sets.append(given) or without(*given, **k)
    )
    values = np.array([3, 3, 4, *range(100, 167)])
    exclusion = Exclusion.same_value(values, np.arange(110) % 20)
    rerank_gallery(KReciprocal(shortlist=50), QUERIES, GALLERY, 20, exclusion=exclusion)
    assert len(sets) == 2


def test_leave_one_out_excludes_hubs_from_all_augmented_items():
    """An item that is a neighbor of all others: all have to be compared again without it."""
    rng = np.random.default_rng(0)
    spokes = np.eye(40, dtype=np.float32) + rng.normal(size=(40, 40)).astype(np.float32) / 50
    items = np.vstack([spokes.sum(axis=0, keepdims=True), spokes])
    digests = [digest(str(i)) for i in range(41)]
    for reranker in (CASES["dba"], CASES["dba, by similarity"]):
        result = rerank_gallery(reranker, items, items, 5, leave_one_out=True)
        separate = rerank_gallery(reranker, items[:1], items[1:], 5, digests=digests[1:])
        assert np.array_equal(result.indices[0], separate.indices[0] + 1)
