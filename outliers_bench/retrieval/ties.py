"""Detection of equal scores in search results, and deterministic tie-breaking."""

from __future__ import annotations

import numpy as np

from outliers_bench.retrieval.indexes.index import Metric
from outliers_bench.types import BoolArray, FloatArray, IntArray

PAIR_VALUES = 500_000  # values gathered per block to compare pairs of vectors; more is no faster

_GATHERED = 4  # times as long as reading it in order takes a vector that is gathered
_ROUNDING = 2e-6  # difference of equal pairs in BLAS, relative to the query's squared length


def sort_with_ties(positions: IntArray, scores: FloatArray) -> None:
    """Sort rows in place by descending score, equal scores by ascending position.

    Rows that are already sorted, as an index returns them, and rows without ties are skipped.
    """
    unsorted = (scores[:, :-1] < scores[:, 1:]).any(axis=1)
    if unsorted.any():
        best = np.argsort(-scores[unsorted], axis=1, kind="stable")  # fast if nearly sorted
        positions[unsorted] = np.take_along_axis(positions[unsorted], best, axis=1)
        scores[unsorted] = np.take_along_axis(scores[unsorted], best, axis=1)
    tied = np.zeros(scores.shape, dtype=np.bool_)
    np.equal(scores[:, :-1], scores[:, 1:], out=tied[:, 1:])
    starts = ~tied  # of runs of equal scores, none of which continues in the next row
    tied[:, :-1] |= tied[:, 1:]
    if tied.any():
        best = np.lexsort((positions[tied], np.cumsum(starts[tied])))
        positions[tied] = positions[tied][best]
        scores[tied] = scores[tied][best]  # 0 and -0 are equal


def rescore_close_pairs(
    queries: FloatArray,
    gallery: FloatArray,
    positions: IntArray,
    scores: FloatArray,
    metric: Metric,
) -> None:
    """Give equal vectors equal scores, and break ties that extend beyond the fetched results.

    BLAS sums the last rows of a block in another order than the rest, so scores of the same
    vector differ in their last bits. Scores that are this close to an adjacent one in the ranking
    are recomputed in a way that depends only on the two vectors.

    Parameters
    ----------
    queries : array of float32, shape (n_query, d)
    gallery : array of float32, shape (n, d)
        In the order that breaks ties.
    positions, scores : array, shape (n_query, depth)
        Results of an exhaustive search, nearest first; changed in place.
    metric : Metric
    """
    tolerance = _ROUNDING * np.maximum(1, np.square(queries).sum(axis=1, keepdims=True))
    is_close = scores[:, :-1] - scores[:, 1:] <= tolerance
    recompute = np.zeros(scores.shape, dtype=np.bool_)
    recompute[:, :-1] |= is_close
    recompute[:, 1:] |= is_close
    # Comparing a query with all vectors in their order is faster than gathering many of them.
    for many in np.flatnonzero(recompute.sum(axis=1) * _GATHERED > len(gallery)):
        compared = _compare(queries[many], gallery, metric)[positions[many]]
        np.copyto(scores[many], compared, where=recompute[many])
        recompute[many] = False
    rows, columns = np.nonzero(recompute)
    size = max(1, PAIR_VALUES // max(1, queries.shape[1]))
    for start in range(0, len(rows), size):
        row, column = rows[start : start + size], columns[start : start + size]
        items = gallery[positions[row, column]]
        scores[row, column] = _compare(queries[row], items, metric)
    sort_with_ties(positions, scores)
    tied = _rows_tied_at_end(scores, len(gallery))
    distinct, inverse = np.unique(queries[tied], axis=0, return_inverse=True)  # blank images share
    for number, query in enumerate(distinct):
        all_scores = _compare(query, gallery, metric)
        best = np.argsort(-all_scores, kind="stable")[: positions.shape[1]]
        same = tied[inverse.ravel() == number]
        positions[same], scores[same] = best, all_scores[best]


def _rows_tied_at_end(scores: FloatArray, n: int) -> IntArray:
    """Find rows whose last two scores are equal: further tied items may not have been fetched."""
    if scores.shape[1] in (1, n):
        return np.empty(0, dtype=np.int64)
    return np.flatnonzero(scores[:, -1] == scores[:, -2])


def _compare(queries: FloatArray, gallery: FloatArray, metric: Metric) -> FloatArray:
    """Score gallery vectors with one query, shape (d,), or one query each, shape (n, d)."""
    if metric is Metric.euclidean:
        return np.asarray(-np.square(gallery - queries).sum(axis=1), dtype=np.float32)
    # einsum sums every row in the same order.
    return np.asarray(
        np.einsum("nd,nd->n", gallery, np.broadcast_to(queries, gallery.shape)), dtype=np.float32
    )


def pair_similarities(vectors: FloatArray, gallery: FloatArray, positions: IntArray) -> FloatArray:
    """Compute inner products of each vector with some gallery items, both of shape (m, k).

    The product of a pair does not depend, to the last bit, on the rest of the block, unlike with
    BLAS, which may sum the last rows differently; so equal vectors have equal scores.
    """
    products = np.empty(positions.shape, dtype=np.float32)
    size = max(1, PAIR_VALUES // max(1, positions.shape[1] * gallery.shape[1]))
    for start in range(0, len(vectors), size):
        rows = slice(start, start + size)
        products[rows] = np.einsum("qkd,qd->qk", gallery[positions[rows]], vectors[rows])
    return products


def sorted_with_ties(
    positions: IntArray, scores: FloatArray, order: IntArray
) -> tuple[IntArray, FloatArray]:
    """Return rows sorted by descending score, equal scores by the item's rank in `order`."""
    rank = np.argsort(order)  # inverse of the permutation
    best = np.lexsort((rank[positions], -scores), axis=1)
    return np.take_along_axis(positions, best, axis=1), np.take_along_axis(scores, best, axis=1)


def drop_excluded(
    positions: IntArray, scores: FloatArray, excluded: BoolArray, depth: int
) -> tuple[IntArray, FloatArray]:
    """Return the first `depth` items of each row, of shape (n, k), that are not excluded.

    There are at least as many.
    """
    chosen = ~excluded
    chosen &= np.cumsum(chosen, axis=1) <= depth
    shape = (len(positions), depth)
    return positions[chosen].reshape(shape), scores[chosen].reshape(shape)
