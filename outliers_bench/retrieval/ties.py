"""Detection of equal scores in search results, and deterministic tie-breaking."""

from __future__ import annotations

from collections.abc import Callable

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
    vectors_at: Callable[[IntArray], FloatArray],
    positions: IntArray,
    scores: FloatArray,
    metric: Metric,
    *,
    n: int,
    exhaustive: bool,
) -> None:
    """Give equal vectors equal scores, and break ties that extend beyond the fetched results.

    BLAS sums the last rows of a block in another order than the rest, and indexes round in other
    ways, so scores of the same vector differ in their last bits. Scores that are this close to an
    adjacent one in the ranking are recomputed in a way that depends only on the two vectors.

    Parameters
    ----------
    queries : array of float32, shape (n_query, d)
    vectors_at : callable
        Returns the gallery vectors at some positions, in the order that breaks ties.
    positions, scores : array, shape (n_query, depth)
        Results of a search of uncompressed vectors, nearest first; changed in place.
    metric : Metric
    n : int
        Size of the gallery.
    exhaustive : bool
        Whether the search was exhaustive: items that tie with the last result then belong to the
        results, if they are before others in the order.
    """
    tolerance = _ROUNDING * np.maximum(1, np.square(queries).sum(axis=1, keepdims=True))
    is_close = scores[:, :-1] - scores[:, 1:] <= tolerance
    # The score of an item that the index has not found is below the last one that it has.
    tolerance = np.full_like(tolerance, np.inf) if exhaustive else 4 * tolerance
    recompute = np.zeros(scores.shape, dtype=np.bool_)
    recompute[:, :-1] |= is_close
    recompute[:, 1:] |= is_close
    every = np.arange(n)
    # Comparing a query with all vectors in their order is faster than gathering many of them.
    for many in np.flatnonzero(recompute.sum(axis=1) * _GATHERED > n):
        compared = _compare_with_all(queries[many], vectors_at, every, metric)[positions[many]]
        near = np.abs(compared - scores[many]) <= tolerance[many]
        np.copyto(scores[many], compared, where=recompute[many] & near)
        recompute[many] = False
    rows, columns = np.nonzero(recompute)
    size = max(1, PAIR_VALUES // max(1, queries.shape[1]))
    for start in range(0, len(rows), size):
        row, column = rows[start : start + size], columns[start : start + size]
        compared = _compare(queries[row], vectors_at(positions[row, column]), metric)
        near = np.abs(compared - scores[row, column]) <= tolerance[row, 0]
        scores[row[near], column[near]] = compared[near]
    sort_with_ties(positions, scores)
    if not exhaustive:
        return
    tied = _rows_tied_at_end(scores, n)
    distinct, inverse = np.unique(queries[tied], axis=0, return_inverse=True)  # blank images share
    for number, query in enumerate(distinct):
        all_scores = _compare_with_all(query, vectors_at, every, metric)
        best = np.argsort(-all_scores, kind="stable")[: positions.shape[1]]
        same = tied[inverse.ravel() == number]
        positions[same], scores[same] = best, all_scores[best]


def _rows_tied_at_end(scores: FloatArray, n: int) -> IntArray:
    """Find rows whose last two scores are equal: further tied items may not have been fetched."""
    if scores.shape[1] in (1, n):
        return np.empty(0, dtype=np.int64)
    return np.flatnonzero(scores[:, -1] == scores[:, -2])


def _compare_with_all(
    query: FloatArray,
    vectors_at: Callable[[IntArray], FloatArray],
    every: IntArray,
    metric: Metric,
) -> FloatArray:
    """Score all gallery vectors with one query, shape (d,)."""
    size = max(1, PAIR_VALUES // max(1, len(query)))
    parts = [every[start : start + size] for start in range(0, len(every), size)]
    return np.concatenate([_compare(query, vectors_at(part), metric) for part in parts])


def _compare(queries: FloatArray, gallery: FloatArray, metric: Metric) -> FloatArray:
    """Score gallery vectors with one query, shape (d,), or one query each, shape (n, d).

    Sums of float64 that are rounded to float32 do not depend on their order.
    """
    vectors, given = gallery.astype(np.float64), queries.astype(np.float64)
    if metric is Metric.euclidean:
        return np.asarray(-np.square(vectors - given).sum(axis=1), dtype=np.float32)
    products = np.einsum("nd,nd->n", vectors, np.broadcast_to(given, vectors.shape))
    return np.asarray(products, dtype=np.float32)


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

    A row that has fewer ends with positions of -1 and scores of -inf.
    """
    chosen = ~excluded
    chosen &= np.cumsum(chosen, axis=1) <= depth
    counts = np.count_nonzero(chosen, axis=1)
    shape = (len(positions), depth)
    if counts.min(initial=depth) == depth:
        return positions[chosen].reshape(shape), scores[chosen].reshape(shape)
    remaining, of_remaining = np.full(shape, -1, np.int64), np.full(shape, -np.inf, np.float32)
    is_filled = np.arange(depth) < counts[:, None]
    remaining[is_filled], of_remaining[is_filled] = positions[chosen], scores[chosen]
    return remaining, of_remaining
