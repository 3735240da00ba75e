"""What an approximate index loses, told apart from what a model gets wrong."""

from __future__ import annotations

from copy import copy

import numpy as np

from outliers_bench.retrieval.indexes.exact import Exact
from outliers_bench.retrieval.indexes.index import Metric
from outliers_bench.retrieval.search import GallerySearch
from outliers_bench.runtime.meter import Meter
from outliers_bench.types import FloatArray, IntArray

RECALL_DEPTH = 10
MAX_QUERIES = 1000  # compared with exhaustive search, evenly spread over all
_ROUNDING = 1e-6  # of scores, of which equals may differ by it


def recall_at_10(search: GallerySearch, queries: FloatArray, *, depth: int = RECALL_DEPTH) -> float | None:
    """Share of the ten nearest gallery items that an index finds, measured by exhaustive search.

    An item as near as the tenth counts as found, whichever of the equals an index returns. A
    gallery of fewer than ten is looked at whole. None of it is counted as time of searching.

    Parameters
    ----------
    search : Search
        The gallery and the index.
    queries : array of float32, shape (n_query, d)
        With `search.leave_one_out`, those of all gallery items. Of more than 1,000, evenly spread
        ones are looked at, 500 to 1,000 of them.
    depth : int
        How deep the ranking is: some indexes find more of the first ten in a deeper search.

    Returns
    -------
    float or None
        From 0 to 1; None where the index is exact, and loses nothing.

    References
    ----------
    M. Aumüller, E. Bernhardsson, A. Faithfull, "ANN-Benchmarks: A benchmarking tool for
    approximate nearest neighbor algorithms", Information Systems 87, 2020.
    """
    if search.index.exact:
        return None
    search = search.active  # where the gallery was changed, what was searched is the changed one
    items = np.arange(0, len(queries), -(-len(queries) // MAX_QUERIES))
    some, at = search.prepare(queries[items]), min(RECALL_DEPTH, search.max_depth)
    aside = copy(search)  # the same built index
    aside.meter = Meter()
    exact = copy(aside)
    exact.index = Exact("exact", search.index.metric)
    exact.__dict__.pop("searcher", None)
    found = aside.rank(some, min(max(depth, at), search.max_depth), items=items).indices[:, :at]
    nearest = exact.rank(some, at, items=items).indices
    # Compared anew, alike for both: an index may round its scores, and faiss may round distances by
    # the lengths of the vectors, which may be far more than what lies between them.
    scores = _similarity(search, some, found)
    least = _similarity(search, some, nearest).min(axis=1, keepdims=True)
    as_near = scores >= least - _ROUNDING * np.abs(least)
    return float(as_near.mean())


def _similarity(search: GallerySearch, queries: FloatArray, items: IntArray) -> FloatArray:
    """Of each query and its items, shape (n_query, depth)."""
    found = search.items(items.ravel()).reshape(*items.shape, -1)
    if search.index.metric is Metric.euclidean:
        return np.asarray(-np.square(found - queries[:, None]).sum(axis=2), dtype=np.float32)
    return np.asarray(np.einsum("qkd,qd->qk", found, queries), dtype=np.float32)
