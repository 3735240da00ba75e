"""Copies in a gallery: an approximate index holds one of equal vectors, and returns them all."""

from __future__ import annotations

import hashlib

import numpy as np

from outliers_bench.retrieval.indexes.index import Searcher
from outliers_bench.retrieval.ties import sort_with_ties
from outliers_bench.types import FloatArray, IntArray


def first_equal(vectors: FloatArray) -> IntArray:
    """Return the position of the first of the vectors that equal each one, shape (n,)."""
    first: dict[bytes, int] = {}
    found = np.empty(len(vectors), dtype=np.int64)
    for position, vector in enumerate(vectors):
        unsigned = vector + np.float32(0)  # -0 becomes 0, to which it is equal
        digest = hashlib.blake2b(unsigned, digest_size=16).digest()
        found[position] = first.setdefault(digest, position)
    return found


class CopiesSearcher(Searcher):
    """Searcher of a gallery with copies, given that of its distinct vectors.

    Approximate indexes find some of many equal vectors, and which ones depends on rounding and on
    the path of the search. Here all copies of a vector that is found are, as in exhaustive search.

    Parameters
    ----------
    distinct : Searcher
        Searches the first of equal vectors, in order of position.
    first : array of int64, shape (n,)
        Position of the first vector that equals each one of the gallery; see `first_equal`.
    """

    def __init__(self, distinct: Searcher, first: IntArray) -> None:
        self._distinct = distinct
        self._counts = np.unique(first, return_counts=True)[1]
        self._members = np.argsort(first, kind="stable")  # group by group, ascending
        self._starts = np.cumsum(self._counts) - self._counts
        arrays = (self._counts, self._members, self._starts)
        self.nbytes = distinct.nbytes + sum(array.nbytes for array in arrays)

    def search(self, queries: FloatArray, depth: int) -> tuple[IntArray, FloatArray]:
        """Find the nearest gallery vectors, equal ones in order of position; see `Searcher`."""
        depth = min(depth, len(self._members))
        groups, group_scores = self._distinct.search(queries, min(depth, len(self._counts)))
        sort_with_ties(groups, group_scores)
        positions = np.empty((len(queries), depth), dtype=np.int64)
        scores = np.empty((len(queries), depth), dtype=np.float32)
        found = groups.shape[1]  # below the depth only if all are found, and so all copies
        positions[:, :found], scores[:, :found] = self._members[self._starts[groups]], group_scores
        for row in np.flatnonzero((self._counts[groups] > 1).any(axis=1)):
            positions[row], scores[row] = self._expand(groups[row], group_scores[row], depth)
        return positions, scores

    def _expand(
        self, groups: IntArray, scores: FloatArray, depth: int
    ) -> tuple[IntArray, FloatArray]:
        """Return the first items of groups, which are in descending order of their scores."""
        counts = self._counts[groups]
        enough = np.searchsorted(np.cumsum(counts), depth)  # the group that reaches the depth
        used = np.count_nonzero(scores >= scores[enough])
        counts, scores = np.minimum(counts[:used], depth), scores[:used]
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        items = self._members[np.repeat(self._starts[groups[:used]], counts) + within]
        of_items = np.repeat(scores, counts)
        best = np.lexsort((items, -of_items))[:depth]
        return items[best], of_items[best]
