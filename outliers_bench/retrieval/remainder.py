"""Order of the gallery images beyond the results of a search, by exhaustive comparison."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from outliers_bench.retrieval.indexes.index import Metric
from outliers_bench.types import Exclusion, FloatArray, IntArray, Ranking

_CHUNK_VALUES = 1 << 21  # gallery values converted to float64 at once: 16 MB
_NEAR = 1e-5  # squared distance, relative to the squared lengths, that is computed again
_SIGN = np.uint32(1 << 31)


class Rescored(NamedTuple):
    """Scores that replace those of some pairs: query row, gallery position, score; shape (m,)."""

    rows: IntArray
    items: IntArray
    scores: FloatArray

    def take(self, rows: slice, n_query: int) -> Rescored:
        """Return the pairs of some of `n_query` queries, which are numbered from 0."""
        first, last, _ = rows.indices(n_query)
        chosen = (self.rows >= first) & (self.rows < last)
        return Rescored(self.rows[chosen] - first, self.items[chosen], self.scores[chosen])


def append_remainder(
    ranking: Ranking,
    queries: FloatArray,
    tie_ordered: FloatArray,
    order: IntArray,
    metric: Metric,
    *,
    exclusion: Exclusion,
    rescored: Rescored | None = None,
) -> Ranking:
    """Append all gallery images that a ranking does not have, in the order of exact scores.

    Scores are not above those of the ranking. Equal vectors have equal scores, and the order
    breaks ties.

    Parameters
    ----------
    ranking : Ranking
        First results of the queries, without excluded images.
    queries : array of float32, shape (b, d)
        Prepared for the metric.
    tie_ordered : array of float32, shape (n, d)
        Prepared gallery vectors in the order that breaks ties.
    order : array of int64, shape (n,)
        Gallery positions of `tie_ordered`.
    metric : Metric
    exclusion : Exclusion
        Excluded images of these queries.
    rescored : Rescored, optional

    Returns
    -------
    Ranking
        Of depth n; a row ends with -1 for each excluded image.
    """
    n, depth = len(order), ranking.depth
    is_ranked = ranking.indices >= 0
    scores = exact_scores(queries, tie_ordered, metric)
    rank_of = np.empty(n, dtype=np.int64)
    rank_of[order] = np.arange(n)
    if rescored is not None:
        scores[rescored.rows, rank_of[rescored.items]] = rescored.scores
    scores[np.nonzero(is_ranked)[0], rank_of[ranking.indices[is_ranked]]] = -np.inf
    if exclusion.largest:
        scores[exclusion.mask(slice(None), order[None])] = -np.inf
    positions, scores = sort_rows(scores, n - depth)
    items = np.where(np.isneginf(scores), -1, order[positions])
    if depth:
        np.minimum(scores, ranking.scores[:, -1:], out=scores)
    return Ranking(
        np.concatenate([ranking.indices, items], axis=1),
        np.concatenate([ranking.scores, scores], axis=1),
    )


def exact_scores(queries: FloatArray, gallery: FloatArray, metric: Metric) -> FloatArray:
    """Score all gallery vectors, shape (n, d), with all queries, shape (b, d).

    Sums of float64 that are rounded to float32 do not depend on their order, unlike sums of float32
    by BLAS, which depend on the rest of the block.
    """
    is_distance = metric is Metric.euclidean
    origin = gallery[:1].astype(np.float64) if is_distance else np.zeros((1, gallery.shape[1]))
    exact = queries - origin
    scores = np.empty((len(queries), len(gallery)), dtype=np.float32)
    size = max(1, _CHUNK_VALUES // max(1, gallery.shape[1]))
    chunk = np.empty((min(size, len(gallery)), gallery.shape[1]))
    for start in range(0, len(gallery), size):
        part = gallery[start : start + size]
        vectors = np.subtract(part, origin, out=chunk[: len(part)])
        products = exact @ vectors.T
        if is_distance:
            lengths = np.square(exact).sum(axis=1, keepdims=True) + np.square(vectors).sum(axis=1)
            products *= 2
            products -= lengths
            # The difference of nearly equal numbers depends on their rounding.
            rows, columns = np.nonzero(-products < _NEAR * lengths)
            for pairs in range(0, len(rows), size):
                row, column = rows[pairs : pairs + size], columns[pairs : pairs + size]
                differences = np.square(vectors[column] - exact[row])
                products[row, column] = -differences.sum(axis=1)
        scores[:, start : start + size] = products
    return scores


def sort_rows(scores: FloatArray, depth: int) -> tuple[IntArray, FloatArray]:
    """Return the positions and values of the largest `depth` scores of each row, shape (b, n).

    They are in descending order, equal ones by position. Numbers that sort like the pair of score
    and position are sorted faster than by a stable sort.
    """
    bits: npt.NDArray[np.uint32] = (scores + np.float32(0)).view(np.uint32)  # -0 becomes 0
    keys = np.where(bits & _SIGN, bits, ~(bits | _SIGN)).astype(np.uint64)
    keys <<= np.uint64(32)
    keys |= np.arange(scores.shape[1], dtype=np.uint64)
    keys.sort(axis=1)
    positions = (keys[:, :depth] & np.uint64(2**32 - 1)).astype(np.int64)
    return positions, np.take_along_axis(scores, positions, axis=1)
