"""Queries of a gallery: the first one prepares it for all, and some of its items can be queries."""

import numpy as np
import pytest

from outliers_bench.retrieval import neighbors
from outliers_bench.retrieval import search as search_module
from outliers_bench.retrieval.rerank import k_reciprocal_encoding
from outliers_bench.types import Exclusion
from tests.contract.reranker_cases import CASES, GALLERY, QUERIES, search_over
from tests.toys import exclude_nothing

STEPS = [
    (neighbors, "_build_graph"),
    (k_reciprocal_encoding, "reciprocal_sets"),
    (search_module, "build_or_load"),
]


@pytest.mark.parametrize("reranker", CASES.values(), ids=CASES)
def test_what_depends_on_the_gallery_only_is_made_once(reranker, monkeypatch):
    made = []
    for module, name in STEPS:
        original = getattr(module, name)
        monkeypatch.setattr(
            module, name, lambda *given, o=original, **more: made.append(o) or o(*given, **more)
        )
    search = search_over(GALLERY)
    every = exclude_nothing(QUERIES, GALLERY)
    first = reranker.rank(search, QUERIES, 20, exclusion=every)
    assert made
    made.clear()
    again = reranker.rank(search, QUERIES[5:9], 20, exclusion=every.take(slice(5, 9)))
    assert not made
    assert np.array_equal(again.indices, first.indices[5:9])


@pytest.mark.parametrize("reranker", CASES.values(), ids=CASES)
def test_some_items_of_a_gallery_can_be_its_queries(reranker):
    every, some = Exclusion.itself(len(GALLERY)), np.array([40, 3, 77])
    search = search_over(GALLERY)
    full = reranker.rank(search, GALLERY, 20, exclusion=every)
    ranking = reranker.rank(search, GALLERY[some], 20, exclusion=every.take(some))
    assert np.array_equal(ranking.indices, full.indices[some])
