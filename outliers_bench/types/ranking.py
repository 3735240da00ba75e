"""Rankings of a gallery, checked when made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from outliers_bench.types.arrays import BoolArray, FloatArray, IntArray

_SORTED = 8  # sort rows to compare them if the gallery is this many times as large


@dataclass(frozen=True, eq=False)
class Ranking:
    """Gallery positions for each query, best first.

    Parameters
    ----------
    indices : array of int64, shape (n_query, depth)
        Positions in the gallery; no position twice in a row. A row that has fewer ends with -1.
    scores : array of float32, shape (n_query, depth)
        Similarity, larger is better, never rising along a row; -inf where there is no position.

    Raises
    ------
    ValueError
        If the shapes differ, -1 is not at the end, a position is below -1 or twice in a row, or
        scores rise or are NaN.
    """

    indices: IntArray
    scores: FloatArray

    def __post_init__(self) -> None:
        if self.indices.shape != self.scores.shape or self.indices.ndim != 2:
            raise ValueError(f"indices {self.indices.shape} and scores {self.scores.shape} differ")
        if self.indices.size == 0:
            return
        lowest = self.indices.min()
        if lowest < -1:
            raise ValueError(f"a ranking has gallery positions, or -1 at the end, not {lowest}")
        if lowest < 0 and ((self.indices[:, :-1] < 0) & (self.indices[:, 1:] >= 0)).any():
            raise ValueError("the position -1 is only at the end of a row")
        if np.isnan(self.scores).any() or (self.scores[:, 1:] > self.scores[:, :-1]).any():
            raise ValueError("scores must fall from left to right")
        if _is_any_twice(self.indices):
            raise ValueError("a gallery position is twice in one row")

    def without(self, excluded: BoolArray) -> Ranking:
        """Return the ranking without some of its images; others move up, and rows end with -1.

        Parameters
        ----------
        excluded : array of bool, shape (n_query, depth)
        """
        rows = np.flatnonzero(excluded.any(axis=1))
        if not rows.size:
            return self
        indices, scores = self.indices.copy(), self.scores.copy()
        gone = excluded[rows]
        order = np.argsort(gone, axis=1, kind="stable")
        left = np.arange(self.depth) < self.depth - gone.sum(axis=1, keepdims=True)
        for values, nothing in ((indices, -1), (scores, -np.inf)):
            moved = np.take_along_axis(values[rows], order, axis=1)
            values[rows] = np.where(left, moved, nothing)
        return Ranking(indices, scores)

    @property
    def depth(self) -> int:
        """Number of gallery images ranked for each query."""
        return int(self.indices.shape[1])


def _is_any_twice(indices: IntArray) -> bool:
    n = int(indices.max()) + 1
    if n > _SORTED * indices.shape[1] or indices.dtype.kind not in "iu":
        ordered = np.sort(indices, axis=1)
        return bool(((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)).any())
    # Faster, if most are found; -1 is the last column, which does not count.
    found = np.zeros((len(indices), n + 1), dtype=np.bool_)
    np.put_along_axis(found, indices, True, axis=1)
    return int(np.count_nonzero(found[:, :n])) < int(np.count_nonzero(indices >= 0))


RankedBlocks: TypeAlias = Iterator[tuple[slice | IntArray, Ranking]]
"""Rankings of blocks of queries, each with the positions of its queries.

A ranking as deep as the largest class may not fit into memory, unlike that of a block.
"""


def join_blocks(
    blocks: Iterable[tuple[slice | IntArray, Ranking]], n_query: int, depth: int
) -> Ranking:
    """Join the rankings of blocks that together have all queries, each truncated to `depth`."""
    indices = np.full((n_query, depth), -1, dtype=np.int64)
    scores = np.full((n_query, depth), -np.inf, dtype=np.float32)
    for rows, ranking in blocks:
        indices[rows], scores[rows] = ranking.indices[:, :depth], ranking.scores[:, :depth]
    return Ranking(indices, scores)
