"""Rankings of a gallery, checked when made."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from outliers_bench.types.arrays import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class Ranking:
    """Gallery positions for each query, best first.

    Parameters
    ----------
    indices : array of int64, shape (n_query, depth)
        Positions in the gallery; no position twice in a row.
    scores : array of float32, shape (n_query, depth)
        Similarity, larger is better, never rising along a row.

    Raises
    ------
    ValueError
        If the shapes differ, a position is negative or twice in a row, or scores rise or are NaN.
    """

    indices: IntArray
    scores: FloatArray

    def __post_init__(self) -> None:
        if self.indices.shape != self.scores.shape or self.indices.ndim != 2:
            raise ValueError(f"indices {self.indices.shape} and scores {self.scores.shape} differ")
        if self.indices.size == 0:
            return
        if self.indices.min() < 0:
            raise ValueError("a ranking holds gallery positions only, never -1")
        if np.isnan(self.scores).any() or (np.diff(self.scores, axis=1) > 0).any():
            raise ValueError("scores must fall from left to right")
        ordered = np.sort(self.indices, axis=1)
        if (ordered[:, 1:] == ordered[:, :-1]).any():
            raise ValueError("a gallery position is twice in one row")

    @property
    def depth(self) -> int:
        """Number of gallery images ranked for each query."""
        return int(self.indices.shape[1])
