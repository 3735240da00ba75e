"""Comparison of each re-ranker with its reference implementation."""

import numpy as np
import pytest

from outliers_bench.retrieval.indexes.exact import Exact
from outliers_bench.retrieval.rerank.alpha_qe import AlphaQueryExpansion
from outliers_bench.retrieval.rerank.collaborative_filtering import CollaborativeFiltering
from outliers_bench.retrieval.rerank.dba import DatabaseAugmentation, Weights
from outliers_bench.retrieval.rerank.diffusion import Diffusion
from outliers_bench.retrieval.rerank.k_reciprocal import KReciprocal
from outliers_bench.retrieval.search import VectorSearch
from outliers_bench.types import Exclusion
from tests.retrieval.rerank import references

CASES = {
    "alpha_qe": AlphaQueryExpansion(n=4),
    "alpha_qe, plain average": AlphaQueryExpansion(n=4, alpha=0),
    "alpha_qe, n beyond the gallery": AlphaQueryExpansion(n=500),
    "dba": DatabaseAugmentation(k=4),
    "dba, by similarity": DatabaseAugmentation(k=4, weights=Weights.similarity, alpha=2),
    "dba, k beyond the gallery": DatabaseAugmentation(k=500),
    "k_reciprocal": KReciprocal(k1=7, k2=3, shortlist=25),
    "k_reciprocal, not averaged": KReciprocal(k1=6, k2=1, shortlist=None, lambda_value=0.1),
    "k_reciprocal, wide": KReciprocal(k1=20, k2=6, shortlist=10),
    "k_reciprocal, averaged over more": KReciprocal(k1=3, k2=9, shortlist=30),
    "k_reciprocal, k1 beyond the gallery": KReciprocal(k1=500, k2=2, shortlist=None),
    "diffusion": Diffusion(shortlist=25, k=7, kq=3),
    "diffusion, short": Diffusion(shortlist=30, k=4, kq=1, gamma=1, alpha=0.5),
    "diffusion, k beyond the gallery": Diffusion(shortlist=500, k=500, kq=5),
    "collaborative_filtering": CollaborativeFiltering(shortlist=25, k=7, history=3),
    "collaborative_filtering, history only": CollaborativeFiltering(shortlist=None, k=5, weight=1),
    "collaborative_filtering, k beyond the gallery": CollaborativeFiltering(
        shortlist=500, k=500, history=9
    ),
}


def clustered(n, seed, *, d=10):
    rng = np.random.default_rng(seed)
    centers = np.random.default_rng(7).normal(size=(6, d))
    return (centers[rng.integers(0, 6, n)] + rng.normal(size=(n, d))).astype(np.float32)


@pytest.fixture(params=CASES)
def reranker(request):
    return CASES[request.param]


def ranked(reranker, queries, gallery, order, *, exclusion=None):
    search = VectorSearch(gallery, index=Exact(), order=order)
    exclusion = exclusion or Exclusion.nothing(len(queries), len(gallery))
    return reranker.rank(search, queries, exclusion.max_depth, exclusion=exclusion).indices


def test_separate_queries(reranker):
    gallery, queries = clustered(60, 1), clustered(6, 2)
    order = np.random.default_rng(3).permutation(60)
    result = ranked(reranker, queries, gallery, order)
    reference = getattr(references, reranker.name)
    for row, query in enumerate(queries):
        assert result[row].tolist() == reference(reranker, query, gallery, order)


def test_leave_one_out_is_a_gallery_without_the_query(reranker):
    items = clustered(45, 4)
    order = np.random.default_rng(5).permutation(45)
    result = ranked(reranker, items, items, order, exclusion=Exclusion.itself(45))
    reference = getattr(references, reranker.name)
    for item in range(0, 45, 6):
        if reranker.name == "k_reciprocal":  # a query is a node of the graph
            expected = references.k_reciprocal_of_all(reranker, items, order, item)
        else:
            others = np.delete(np.arange(45), item)
            rest = [int(np.searchsorted(others, other)) for other in order if other != item]
            expected = others[reference(reranker, items[item], items[others], rest)].tolist()
        assert result[item].tolist() == expected
