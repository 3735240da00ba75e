"""Equal scores: found among what an index returns, and put in the order that settles ties."""

from __future__ import annotations

import numpy as np

from outliers_bench.retrieval.indexes.index import Metric
from outliers_bench.types import BoolArray, FloatArray, IntArray

PAIR_VALUES = 500_000  # numbers gathered at a time to compare pairs of vectors; more is no faster

_ROUNDING = 2e-6  # by which BLAS may differ for equal pairs, in squares of the query's length


def sort_with_ties(places: IntArray, scores: FloatArray) -> None:
    """Sort rows by falling score, in place; equal scores by place, which is the given order.

    Most rows of a short ranking come sorted from an index, and without equals; they are left alone.

    Parameters
    ----------
    places : array of int64, shape (n_query, depth)
    scores : array of float32, shape (n_query, depth)
    """
    unsettled = ~(scores[:, :-1] > scores[:, 1:]).all(axis=1)
    if unsettled.any():
        best = np.lexsort((places[unsettled], -scores[unsettled]), axis=1)
        places[unsettled] = np.take_along_axis(places[unsettled], best, axis=1)
        scores[unsettled] = np.take_along_axis(scores[unsettled], best, axis=1)


def rescore_close_pairs(
    queries: FloatArray, gallery: FloatArray, places: IntArray, scores: FloatArray, metric: Metric
) -> None:
    """Let equal vectors be equally near, and settle ties that reach beyond what was fetched.

    BLAS adds up the last rows of a block otherwise than the others, so that scores of the same
    vector differ in their last bits; what is that near to its neighbor in the ranking is compared
    anew, in a way that depends on the two vectors alone.

    Parameters
    ----------
    queries : array of float32, shape (n_query, d)
    gallery : array of float32, shape (n, d)
        In the order that settles ties.
    places : array of int64, shape (n_query, depth)
        Rows of the gallery, nearest first; changed in place.
    scores : array of float32, shape (n_query, depth)
        Of all that exhaustive search finds, the largest; changed in place.
    metric : Metric
    """
    close = _ROUNDING * np.maximum(1, np.square(queries).sum(axis=1, keepdims=True))
    near = scores[:, :-1] - scores[:, 1:] <= close
    again = np.zeros(scores.shape, dtype=np.bool_)
    again[:, :-1] |= near
    again[:, 1:] |= near
    rows, columns = np.nonzero(again)
    size = max(1, PAIR_VALUES // max(1, queries.shape[1]))
    for start in range(0, len(rows), size):
        row, column = rows[start : start + size], columns[start : start + size]
        items = gallery[places[row, column]]
        scores[row, column] = _compare(queries[row], items, metric)
    sort_with_ties(places, scores)
    for row in _tied_at_cut(scores, len(gallery)):
        everything = _compare(queries[row], gallery, metric)
        best = np.argsort(-everything, kind="stable")[: places.shape[1]]
        places[row], scores[row] = best, everything[best]


def _tied_at_cut(scores: FloatArray, n: int) -> IntArray:
    """Rows whose last two fetched scores are equal: which of the equals were fetched is chance."""
    if scores.shape[1] in (1, n):
        return np.empty(0, dtype=np.int64)
    return np.flatnonzero(scores[:, -1] == scores[:, -2])


def _compare(queries: FloatArray, gallery: FloatArray, metric: Metric) -> FloatArray:
    """Scores of vectors with one query, shape (d,), or each with its own, shape (n, d)."""
    if metric is Metric.euclidean:
        return np.asarray(-np.square(gallery - queries).sum(axis=1), dtype=np.float32)
    # einsum adds up every row alike.
    return np.asarray(
        np.einsum("nd,nd->n", gallery, np.broadcast_to(queries, gallery.shape)), dtype=np.float32
    )


def pair_similarities(vectors: FloatArray, gallery: FloatArray, positions: IntArray) -> FloatArray:
    """Inner products of vectors with some gallery items each.

    A pair has the same product, to the last bit, in whatever company it is compared, where BLAS
    may treat the last rows of a block otherwise; so equal vectors stay equally near.

    Parameters
    ----------
    vectors : array of float32, shape (m, d)
    gallery : array of float32, shape (n, d)
    positions : array of int64, shape (m, k)

    Returns
    -------
    array of float32, shape (m, k)
    """
    found = np.empty(positions.shape, dtype=np.float32)
    size = max(1, PAIR_VALUES // max(1, positions.shape[1] * gallery.shape[1]))
    for start in range(0, len(vectors), size):
        rows = slice(start, start + size)
        found[rows] = np.einsum("qkd,qd->qk", gallery[positions[rows]], vectors[rows])
    return found


def sorted_with_ties(
    positions: IntArray, scores: FloatArray, order: IntArray
) -> tuple[IntArray, FloatArray]:
    """Rows sorted by falling score, equal scores by their item's place in `order`."""
    place = np.argsort(order)  # of a permutation: its inverse
    best = np.lexsort((place[positions], -scores), axis=1)
    return np.take_along_axis(positions, best, axis=1), np.take_along_axis(scores, best, axis=1)


def drop_self(
    positions: IntArray, scores: FloatArray, unwanted: BoolArray
) -> tuple[IntArray, FloatArray]:
    """Rows without their one unwanted entry; without the last one where there is none."""
    if positions.shape[1] == 0:
        return positions, scores
    unwanted = unwanted.copy()
    unwanted[~unwanted.any(axis=1), -1] = True
    shape = (positions.shape[0], positions.shape[1] - 1)
    return positions[~unwanted].reshape(shape), scores[~unwanted].reshape(shape)
