"""Preparations of a gallery for re-ranking: made by the first query, reused by others."""

import numpy as np
import pytest

from outliers_bench.retrieval import neighbors
from outliers_bench.retrieval import search as search_module
from outliers_bench.retrieval.rerank import k_reciprocal_encoding
from tests.contract.reranker_cases import CASES, GALLERY, QUERIES, search_over

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
    first = reranker.rank(search, QUERIES, 20)
    assert made
    made.clear()
    again = reranker.rank(search, QUERIES[5:9], 20)
    assert not made
    assert np.array_equal(again.indices, first.indices[5:9])
