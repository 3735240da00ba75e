"""k-reciprocal encodings: an item as the weighted set of those that it shares neighbors with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from outliers_bench.retrieval.neighbors import NeighborGraph
from outliers_bench.retrieval.ties import PAIR_VALUES, pair_similarities
from outliers_bench.runtime.progress import track
from outliers_bench.types import FloatArray, IntArray

if TYPE_CHECKING:
    from scipy.sparse import csr_array

BLOCK_ROWS = 4096  # gallery items encoded at a time


def reciprocal_sets(positions: IntArray) -> csr_array:
    """Who stands in whose list and has the other in its own; every item with itself.

    Parameters
    ----------
    positions : array of int64, shape (n, k)
        The nearest k others of each item.

    Returns
    -------
    sparse array of float32, shape (n, n)
        R(i, k) in row i, as ones; symmetric.
    """
    from scipy.sparse import eye_array

    near = _rows_of_ones(positions, len(positions))
    both: csr_array = near.multiply(near.T).tocsr() + eye_array(len(positions), dtype=np.float32)
    return both.tocsr()


def expand_sets(sets: csr_array, half: csr_array) -> csr_array:
    """R*: sets, with the half sets of their members where two thirds of these are in them.

    Parameters
    ----------
    sets : sparse array, shape (b, n)
        R(i, k1), as ones.
    half : sparse array, shape (n, n)
        R(i, k1 / 2), as ones.

    Returns
    -------
    sparse array, shape (b, n)
        Positive where an item belongs to R*; indices sorted.
    """
    common = sets.multiply(sets @ half.T).tocsr()  # |R(i, k1) and R(g, k1 / 2)|, of members g
    sizes = np.diff(half.indptr)
    agrees = 3 * common.data >= 2 * sizes[common.indices]
    common.data = np.where(agrees, 1, 0).astype(np.float32)
    common.eliminate_zeros()
    star: csr_array = (sets + common @ half).tocsr()
    star.sort_indices()
    return star


def encode(star: csr_array, vectors: FloatArray, gallery: FloatArray) -> csr_array:
    """V: weights exp(-d) over the members of R*, that add up to one.

    Parameters
    ----------
    star : sparse array, shape (b, n)
        R* of each vector.
    vectors : array of float32, shape (b, d)
    gallery : array of float32, shape (n, d)

    Returns
    -------
    sparse array of float64, shape (b, n)
    """
    from scipy.sparse import csr_array

    rows = np.repeat(np.arange(len(vectors)), np.diff(star.indptr))
    found = np.empty(star.nnz)
    size = max(1, PAIR_VALUES // gallery.shape[1])
    for start in range(0, star.nnz, size):
        part = slice(start, start + size)
        some = star.indices[part, None].astype(np.int64)
        found[part] = pair_similarities(vectors[rows[part]], gallery, some)[:, 0]
    weights = np.exp(found - 1)
    sums = np.bincount(rows, weights, minlength=len(vectors))
    return csr_array((weights / sums[rows], star.indices, star.indptr), shape=star.shape)


def average_over_neighbors(own: csr_array, positions: IntArray, encodings: csr_array) -> csr_array:
    """Means of encodings with those of the nearest, shape (b, n).

    Parameters
    ----------
    own : sparse array, shape (b, n)
    positions : array of int64, shape (b, k2 - 1)
        The nearest of each.
    encodings : sparse array, shape (n, n)
        Of the gallery.
    """
    mean: csr_array = own + _rows_of_ones(positions, encodings.shape[0]) @ encodings
    mean = mean.tocsr()
    mean.data /= positions.shape[1] + 1
    return mean


@dataclass(frozen=True, eq=False)
class Encodings:
    """What k-reciprocal re-ranking makes of a gallery alone.

    Parameters
    ----------
    half : sparse array, shape (n, n)
        R(i, k1 / 2) of each item.
    raw : sparse array, shape (n, n)
        V before it is averaged.
    averaged : sparse array, shape (n, n)
        V averaged over the k2 nearest.
    min_similarity : array of float32, shape (n,)
        Cosine of the k1-th nearest: who comes as near is among the k1 nearest. -inf where there
        are fewer.
    """

    half: Any
    raw: Any
    averaged: Any
    min_similarity: FloatArray

    @classmethod
    def from_graph(
        cls, graph: NeighborGraph, gallery: FloatArray, *, k1: int, k2: int
    ) -> Encodings:
        """Encode every gallery item.

        Parameters
        ----------
        graph : Neighbors
            With at least max(k1, k2 - 1) neighbors, where the gallery has so many.
        gallery : array of float32, shape (n, d)
        k1, k2 : int
            See `KReciprocal`.
        """
        from scipy.sparse import vstack

        n = len(gallery)
        sets = reciprocal_sets(graph.positions[:, :k1])
        half = reciprocal_sets(graph.positions[:, : half_k(k1)])
        starts, parts = range(0, n, BLOCK_ROWS), []
        for start in track(starts, stage="encode", total=len(starts), unit="blocks"):
            rows = slice(start, start + BLOCK_ROWS)
            parts.append(encode(expand_sets(sets[rows], half), gallery[rows], gallery))
        plain = vstack(parts, format="csr")
        averages = [
            average_over_neighbors(
                plain[start : start + BLOCK_ROWS],
                graph.positions[start : start + BLOCK_ROWS, : k2 - 1],
                plain,
            )
            for start in starts
        ]
        least = np.full(n, -np.inf, dtype=np.float32)
        if graph.positions.shape[1] >= k1:
            least = graph.similarities[:, k1 - 1]
        return cls(half, plain, vstack(averages, format="csr"), least)

    def join(
        self,
        queries: FloatArray,
        gallery: FloatArray,
        hits: IntArray,
        similarities: FloatArray,
        *,
        k1: int,
        k2: int,
    ) -> csr_array:
        """Encodings of queries that are not of the gallery, each joined to it alone.

        Parameters
        ----------
        queries : array of float32, shape (b, d)
        gallery : array of float32, shape (n, d)
        hits : array of int64, shape (b, m)
            Nearest first, at least max(k1, k2 - 1) where the gallery has so many.
        similarities : array of float32, shape (b, m)
        k1, k2 : int

        Returns
        -------
        sparse array, shape (b, n)
        """
        from scipy.sparse import csr_array

        mutual = similarities[:, :k1] >= self.min_similarity[hits[:, :k1]]
        begins = np.concatenate([[0], np.cumsum(mutual.sum(axis=1))])
        members = hits[:, :k1][mutual]
        shape = (len(queries), len(gallery))
        sets = csr_array((np.ones(len(members), np.float32), members, begins), shape=shape)
        own = encode(expand_sets(sets, self.half), queries, gallery)
        return average_over_neighbors(own, hits[:, : k2 - 1], self.raw)


def half_k(k1: int) -> int:
    """Half of k1, as the authors' code rounds it: to the nearest even number where in doubt."""
    return int(np.around(k1 / 2))


def _rows_of_ones(positions: IntArray, n: int) -> csr_array:
    from scipy.sparse import csr_array

    m, k = positions.shape
    begins = np.arange(0, m * k + 1, k) if k else np.zeros(m + 1, dtype=np.int64)
    ones = np.ones(m * k, dtype=np.float32)
    return csr_array((ones, positions.ravel(), begins), shape=(m, n))
