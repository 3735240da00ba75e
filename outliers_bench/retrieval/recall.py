"""Recall of an approximate index, measured against exhaustive search."""

from __future__ import annotations

from copy import copy

import numpy as np

from outliers_bench.retrieval.indexes.index import Metric
from outliers_bench.retrieval.search import VectorSearch
from outliers_bench.runtime.meter import Meter
from outliers_bench.types import Exclusion, FloatArray, IntArray, join_blocks

RECALL_DEPTH = 10
MAX_QUERIES = 1000  # evenly spaced queries that are compared with exhaustive search
_ROUNDING = 1e-6  # relative difference within which two scores are equal


def recall_at_10(
    search: VectorSearch,
    queries: FloatArray,
    *,
    depth: int,
    exclusion: Exclusion,
) -> float | None:
    """Measure the share of the ten nearest gallery items that an index finds.

    The reference is exhaustive search. Any item as near as the tenth counts as found, so ties do
    not matter. A gallery of fewer than ten items is compared completely. The time is not added to
    the search time.

    Parameters
    ----------
    search : VectorSearch
    queries : array of float32, shape (n_query, d)
        If there are more than 1,000, 500 to 1,000 evenly spaced ones are used, of those that have
        ten items to find.
    depth : int
        Depth of the ranking: some indexes find more of the first ten in a deeper search.
    exclusion : Exclusion

    Returns
    -------
    float or None
        From 0 to 1; None if the index is exact, or every image is excluded for every query.

    References
    ----------
    M. Aumüller, E. Bernhardsson, A. Faithfull, "ANN-Benchmarks: A benchmarking tool for
    approximate nearest neighbor algorithms", Information Systems 87, 2020.
    """
    if search.index.exact or not exclusion.max_depth:
        return None
    search = search.active  # a re-ranker may have searched an augmented gallery
    k = min(RECALL_DEPTH, exclusion.max_depth)
    rows = np.flatnonzero(exclusion.available >= k)
    rows = rows[:: -(-len(rows) // MAX_QUERIES)]
    sample = search.prepare(queries[rows])
    unmetered = copy(search)  # shares the built index
    unmetered.meter = Meter()
    deep = min(max(depth, k), exclusion.max_depth)
    exclusion = exclusion.take(rows)
    blocks = unmetered.rank_blocks(sample, deep, exclusion=exclusion)
    retrieved = join_blocks(blocks, len(rows), k).indices
    nearest = search.exhaustive().rank(sample, k, exclusion=exclusion).indices
    # Both are compared again in the same way: an index may round its scores, and faiss rounds
    # distances relative to the lengths of the vectors, which may be far larger than the distances.
    scores = _similarity(search, sample, retrieved)
    lowest = _similarity(search, sample, nearest).min(axis=1, keepdims=True)
    is_hit = scores >= lowest - _ROUNDING * np.abs(lowest)
    return float(is_hit.mean())


def _similarity(search: VectorSearch, queries: FloatArray, items: IntArray) -> FloatArray:
    """Compute similarities of each query and its items, shape (n_query, depth)."""
    vectors = search.vectors_at(items.ravel()).reshape(*items.shape, -1)
    if search.index.metric is Metric.euclidean:
        return np.asarray(-np.square(vectors - queries[:, None]).sum(axis=2), dtype=np.float32)
    return np.asarray(np.einsum("qkd,qd->qk", vectors, queries), dtype=np.float32)
