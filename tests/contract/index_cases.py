"""Indexes under test, and vectors to search."""

import numpy as np
import pytest

from outliers_bench.retrieval.indexes.annoy_trees import Annoy
from outliers_bench.retrieval.indexes.exact import Exact
from outliers_bench.retrieval.indexes.hnsw import FaissHnsw
from outliers_bench.retrieval.indexes.index import Metric
from outliers_bench.retrieval.indexes.quantized import FaissIvfPq, FaissSq8
from outliers_bench.retrieval.indexes.trees import BallTree, KdTree
from outliers_bench.retrieval.normalize import l2_normalize
from outliers_bench.retrieval.search import VectorSearch, tie_order
from tests.toys import digest, exclude_nothing

annoy_only = pytest.mark.extra("annoy")


def every_metric(kind, *metrics, **options):
    marks = [annoy_only] if kind is Annoy else []
    return [
        pytest.param(index, id=f"{index.name}-{metric.name}", marks=marks)
        for metric in metrics or Metric
        for index in [kind(metric=metric, **options)]
    ]


DISTANCES = (Metric.cosine, Metric.euclidean)


EXACT = [
    *every_metric(Exact),
    *every_metric(KdTree, *DISTANCES),
    *every_metric(BallTree, *DISTANCES),
]


# With this many candidates, they find all neighbors in a gallery of a few hundred.
THOROUGH = [
    *every_metric(FaissHnsw, ef_search=1000),
    *every_metric(Annoy, n_trees=20, search_k=100_000),
]


QUANTIZED = [*every_metric(FaissSq8), *every_metric(FaissIvfPq, subquantizers=5, nprobe=4)]


DEFAULTS = [
    *every_metric(FaissHnsw),
    *every_metric(Annoy),
    *every_metric(FaissSq8),
    *every_metric(FaissIvfPq, subquantizers=8),
]


CACHED = [*THOROUGH, *QUANTIZED]


every_index = pytest.mark.parametrize("index", EXACT + THOROUGH + QUANTIZED)


exhaustive_index = pytest.mark.parametrize("index", EXACT + THOROUGH)


def similarity(queries, gallery, metric):
    """Compute similarities by brute force in float64."""
    q, g = queries.astype(np.float64), gallery.astype(np.float64)
    if metric is Metric.cosine:
        q, g = l2_normalize(queries).astype(np.float64), l2_normalize(gallery).astype(np.float64)
    if metric is Metric.euclidean:
        return -((q[:, None] - g[None]) ** 2).sum(axis=2)
    return q @ g.T


def vectors(n, d=12, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


def clustered(n, d=16, *, per_cluster=20, seed=0):
    rng = np.random.default_rng(seed)
    centers = np.random.default_rng(99).normal(size=(n // per_cluster, d)) * 3
    points = centers[rng.integers(0, len(centers), n)] + rng.normal(size=(n, d))
    return points.astype(np.float32)


def search_over(index, gallery, *, seed=0, digests=None):
    digests = digests or [digest(str(i)) for i in range(len(gallery))]
    order = tie_order(digests, seed)
    return VectorSearch(gallery, index=index, order=order)


def rank(index, queries, gallery, depth, *, exclusion=None, **options):
    exclusion = exclusion or exclude_nothing(queries, gallery)
    return search_over(index, gallery, **options).rank(queries, depth, exclusion=exclusion)
