"""k-reciprocal encodings: each item as a weighted set of its k-reciprocal neighbors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from outliers_bench.retrieval.neighbors import NeighborGraph
from outliers_bench.retrieval.ties import PAIR_VALUES, pair_similarities
from outliers_bench.runtime.progress import track
from outliers_bench.types import Exclusion, FloatArray, IntArray

if TYPE_CHECKING:
    from scipy.sparse import csr_array

BLOCK_ROWS = 4096  # gallery items encoded per block
BLOCK_VALUES = 2_000_000  # neighbors compared with excluded images per block


def reciprocal_sets(positions: IntArray, k: int, rows: IntArray) -> csr_array:
    """Find R(i, k) of some items: those that are among each other's neighbors, and the item itself.

    Parameters
    ----------
    positions : array of int64, shape (n, at least k)
        Neighbors of every item, nearest first; all others if there are fewer.
    k : int
    rows : array of int64, shape (m,)
        The items.

    Returns
    -------
    sparse array of float32, shape (m, n)
        Ones; indices are sorted.
    """
    from scipy.sparse import csr_array

    members = positions[rows, :k]
    is_mutual = np.zeros(members.shape, dtype=np.bool_)
    for column in positions[:, :k].T:
        is_mutual |= column[members] == rows[:, None]
    members = np.column_stack([rows, members])
    is_mutual = np.column_stack([np.ones(len(rows), dtype=np.bool_), is_mutual])
    starts = np.concatenate([[0], np.cumsum(np.count_nonzero(is_mutual, axis=1))])
    indices = members[is_mutual]
    sets = csr_array(
        (np.ones(len(indices), np.float32), indices, starts), shape=(len(rows), len(positions))
    )
    sets.sort_indices()
    return sets


def expand_sets(sets: csr_array, half: csr_array) -> csr_array:
    """Compute R*: add to each set the half sets of members that overlap by two thirds with it.

    Given R(i, k1), shape (b, n), and R(i, k1 / 2), shape (n, n), as ones. The result, shape (b, n),
    is positive for items in R*; its indices are sorted.
    """
    members = np.unique(sets.indices)
    half = half[members]
    # |R(i, k1) and R(g, k1 / 2)|, of members g
    common = sets[:, members].multiply(sets @ half.T).tocsr()
    sizes = np.diff(half.indptr)
    is_added = 3 * common.data >= 2 * sizes[common.indices]
    common.data = np.where(is_added, 1, 0).astype(np.float32)
    common.eliminate_zeros()
    expanded: csr_array = (sets + common @ half).tocsr()
    expanded.sort_indices()
    return expanded


def encode(expanded: csr_array, vectors: FloatArray, gallery: FloatArray) -> csr_array:
    """Compute V, shape (b, n): weights exp(-d) of the members of R*, which sum to one.

    Given R* of each vector, shape (b, n), the vectors, shape (b, d), and the gallery, shape (n, d).
    """
    from scipy.sparse import csr_array

    rows = np.repeat(np.arange(len(vectors)), np.diff(expanded.indptr))
    similarities = np.empty(expanded.nnz)
    size = max(1, PAIR_VALUES // gallery.shape[1])
    for start in range(0, expanded.nnz, size):
        part = slice(start, start + size)
        items = expanded.indices[part, None].astype(np.int64)
        similarities[part] = pair_similarities(vectors[rows[part]], gallery, items)[:, 0]
    weights = np.exp(similarities - 1)
    sums = np.bincount(rows, weights, minlength=len(vectors))
    return csr_array(
        (weights / sums[rows], expanded.indices, expanded.indptr), shape=expanded.shape
    )


def average_over_neighbors(own: csr_array, positions: IntArray, encodings: csr_array) -> csr_array:
    """Average encodings, shape (b, n), with those of the nearest items, shape (b, k2 - 1)."""
    mean: csr_array = own + _to_indicators(positions, encodings.shape[0]) @ encodings
    mean = mean.tocsr()
    mean.data /= positions.shape[1] + 1
    return mean


@dataclass(frozen=True, eq=False)
class Encodings:
    """k-reciprocal encodings of a gallery.

    Parameters
    ----------
    positions : array of int64, shape (n, k)
        max(k1, k2 - 1) nearest neighbors of each item, if the gallery has that many.
    half : sparse array, shape (n, n)
        R(i, k1 / 2) of each item.
    raw : sparse array, shape (n, n)
        V before averaging.
    averaged : sparse array, shape (n, n)
        V averaged over the k2 nearest.
    min_similarity : array of float32, shape (n,)
        Cosine of the k1-th nearest neighbor, which an item needs to be among the k1 nearest; -inf
        if there are fewer.
    """

    positions: IntArray
    half: Any
    raw: Any
    averaged: Any
    min_similarity: FloatArray

    @classmethod
    def from_graph(
        cls, graph: NeighborGraph, gallery: FloatArray, *, k1: int, k2: int
    ) -> Encodings:
        """Encode every gallery item, shape (n, d).

        The graph has at least max(k1, k2 - 1) neighbors, if the gallery has that many.
        """
        from scipy.sparse import vstack

        n = len(gallery)
        positions = graph.positions[:, : max(k1, k2 - 1)]
        half = reciprocal_sets(positions, _half(k1), np.arange(n))
        starts, parts = range(0, n, BLOCK_ROWS), []
        for start in track(starts, stage="encode", total=len(starts), unit="blocks"):
            rows = np.arange(start, min(start + BLOCK_ROWS, n))
            sets = reciprocal_sets(positions, k1, rows)
            parts.append(encode(expand_sets(sets, half), gallery[rows], gallery))
        raw = vstack(parts, format="csr")
        averages = [
            average_over_neighbors(
                raw[start : start + BLOCK_ROWS],
                positions[start : start + BLOCK_ROWS, : k2 - 1],
                raw,
            )
            for start in starts
        ]
        averaged = vstack(averages, format="csr")
        return cls(positions, half, raw, averaged, _kth(graph.similarities, k1))

    def without(
        self,
        graph: NeighborGraph,
        gallery: FloatArray,
        exclusion: Exclusion,
        *,
        k1: int,
        k2: int,
    ) -> Encodings:
        """Return the encodings of the gallery without the excluded images of one query.

        Their own rows have no meaning. Only the rows that they affect are computed. The graph has
        as many more neighbors as there are excluded images, if the gallery has that many.
        """
        n, k = len(gallery), max(k1, k2 - 1)
        is_excluded = exclusion.mask(slice(None), np.arange(n)[None])[0]
        # All remaining items, if fewer than k others remain.
        changed = np.flatnonzero(is_excluded[self.positions].any(axis=1) & ~is_excluded)
        size = max(1, BLOCK_VALUES // (k + exclusion.largest))
        parts = [
            graph.nearest(changed[start : start + size], k, exclusion=exclusion)
            for start in range(0, max(1, len(changed)), size)
        ]
        near, similarities = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        positions = self.positions[:, : near.shape[1]].copy()
        positions[changed] = near
        min_similarity = self.min_similarity.copy()
        min_similarity[changed] = _kth(similarities, k1)

        # An item becomes mutual only with one whose list has changed.
        rows = np.union1d(changed, near)
        of_half = self._rows_that_differ(positions, _half(k1), rows)
        new_half = reciprocal_sets(positions, _half(k1), of_half)
        half = _replace_rows(self.half, of_half, new_half)
        # Sets are symmetric: those that have an item are those of its members.
        having = reciprocal_sets(positions, k1, of_half).indices
        rows = np.union1d(self._rows_that_differ(positions, k1, rows), having)
        sets = reciprocal_sets(positions, k1, rows)
        raw = _replace_rows(self.raw, rows, encode(expand_sets(sets, half), gallery[rows], gallery))
        is_other = np.zeros(n, dtype=np.bool_)
        is_other[rows] = True
        is_other |= is_other[positions[:, : k2 - 1]].any(axis=1)
        is_other[changed] = True
        rows = np.flatnonzero(is_other)
        averaged = _replace_rows(
            self.averaged, rows, average_over_neighbors(raw[rows], positions[rows, : k2 - 1], raw)
        )
        return Encodings(positions, half, raw, averaged, min_similarity)

    def _rows_that_differ(self, positions: IntArray, k: int, rows: IntArray) -> IntArray:
        """Return those of some items whose R(i, k) differs by the given neighbors."""
        new, old = (reciprocal_sets(lists, k, rows) for lists in (positions, self.positions))
        differs = np.diff((new != old).tocsr().indptr) > 0
        return np.asarray(rows[differs])

    def encode_queries(
        self,
        queries: FloatArray,
        gallery: FloatArray,
        hits: IntArray,
        similarities: FloatArray,
        *,
        k1: int,
        k2: int,
    ) -> csr_array:
        """Encode queries that are not in the gallery, each independent of the others.

        Their hits and the similarities of these, both of shape (b, m), are nearest first, at least
        max(k1, k2 - 1) if the gallery has that many.
        """
        from scipy.sparse import csr_array

        mutual = similarities[:, :k1] >= self.min_similarity[hits[:, :k1]]
        row_starts = np.concatenate([[0], np.cumsum(mutual.sum(axis=1))])
        members = hits[:, :k1][mutual]
        shape = (len(queries), len(gallery))
        sets = csr_array((np.ones(len(members), np.float32), members, row_starts), shape=shape)
        own = encode(expand_sets(sets, self.half), queries, gallery)
        return average_over_neighbors(own, hits[:, : k2 - 1], self.raw)


def _half(k1: int) -> int:
    return int(np.around(k1 / 2))  # rounded half to even, as in the authors' code


def _kth(similarities: FloatArray, k1: int) -> FloatArray:
    """Return the k1-th similarity of each row, shape (n,); -inf if there are fewer."""
    if similarities.shape[1] >= k1:
        return similarities[:, k1 - 1]
    return np.full(len(similarities), -np.inf, dtype=np.float32)


def _replace_rows(matrix: csr_array, rows: IntArray, by: csr_array) -> csr_array:
    """Replace some rows of a sparse array, shape (n, n), by those of another, shape (m, n)."""
    from scipy.sparse import vstack

    n = matrix.shape[0]
    source = np.arange(n)
    source[rows] = n + np.arange(len(rows))
    replaced: csr_array = vstack([matrix, by], format="csr")[source]
    return replaced


def _to_indicators(positions: IntArray, n: int) -> csr_array:
    from scipy.sparse import csr_array

    m, k = positions.shape
    row_starts = np.arange(0, m * k + 1, k) if k else np.zeros(m + 1, dtype=np.int64)
    ones = np.ones(m * k, dtype=np.float32)
    return csr_array((ones, positions.ravel(), row_starts), shape=(m, n))
