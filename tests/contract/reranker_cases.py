"""Re-rankers under test, and vectors to rank."""

import numpy as np

from outliers_bench.retrieval.indexes.exact import Exact
from outliers_bench.retrieval.rerank.alpha_qe import AlphaQueryExpansion
from outliers_bench.retrieval.rerank.base import Rerank
from outliers_bench.retrieval.rerank.collaborative_filtering import CollaborativeFiltering
from outliers_bench.retrieval.rerank.dba import DatabaseAugmentation, Weights
from outliers_bench.retrieval.rerank.diffusion import Diffusion
from outliers_bench.retrieval.rerank.k_reciprocal import KReciprocal
from outliers_bench.retrieval.search import VectorSearch, tie_order
from outliers_bench.types import Exclusion
from tests.toys import digest, exclude_nothing

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


def vectors(n, seed, *, d=12, groups=8, noise=0.7):
    """Create vectors around a few centers, and return their labels too."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, groups, n)
    centers = np.random.default_rng(99).normal(size=(groups, d))
    return (centers[labels] + noise * rng.normal(size=(n, d))).astype(np.float32), labels


GALLERY, QUERIES = vectors(110, 1)[0], vectors(70, 2)[0]


def search_over(gallery, *, index=None, seed=0, digests=None, **options):
    digests = digests or [digest(str(i)) for i in range(len(gallery))]
    index = index or Exact()
    return VectorSearch(gallery, index=index, order=tie_order(digests, seed), **options)


def rerank_gallery(
    reranker, queries, gallery, depth, *, leave_one_out=False, exclusion=None, **options
):
    if leave_one_out:
        exclusion = Exclusion.itself(len(gallery))
    exclusion = exclusion or exclude_nothing(queries, gallery)
    search = search_over(gallery, **options)
    reranker.check_search(search.index, exclusion)
    return reranker.rank(search, queries, depth, exclusion=exclusion)


def assert_valid(ranking, n_query, depth, n):
    assert ranking.indices.dtype == np.int64
    assert ranking.scores.dtype == np.float32
    assert ranking.indices.shape == ranking.scores.shape == (n_query, depth)
    assert np.isfinite(ranking.scores).all()
    if depth and n_query:
        assert ranking.indices.max() < n
