"""Rankings as metrics see them, and the ranks that decide on a metric."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeAlias

import numpy as np

from outliers_bench.types import BoolArray, IntArray

Reach: TypeAlias = Literal["k", "R", "first", "last"]
"""Ranks that decide on a metric: to k, to R, to the first relevant image, or to the last one."""


@dataclass(frozen=True, eq=False)
class Scored:
    """Queries that have a relevant gallery image, as metrics see them; see `rank_metrics`.

    Parameters
    ----------
    relevant : array of bool, shape (n_query, depth)
    total : array of int64, shape (n_query,)
        Number of relevant gallery images, at least 1.
    labels : array of int64, shape (n_query,)
        Labels of the queries.
    retrieved : array of int64, shape (n_query, depth)
        Labels of the ranked gallery images; -1 after the end of a shorter ranking.
    """

    relevant: BoolArray
    total: IntArray
    labels: IntArray
    retrieved: IntArray

    @cached_property
    def lengths(self) -> IntArray:
        """Number of ranked images, shape (n_query,)."""
        n, depth = self.retrieved.shape
        if depth == 0 or (self.retrieved[:, -1] >= 0).all():
            return np.full(n, depth, dtype=np.int64)
        return np.asarray(np.count_nonzero(self.retrieved >= 0, axis=1), dtype=np.int64)

    @cached_property
    def is_complete(self) -> BoolArray:
        """True if all relevant images are ranked, shape (n_query,)."""
        return np.asarray(np.count_nonzero(self.relevant, axis=1) == self.total)

    def is_determined(self, reach: Reach, k: int = 0) -> bool:
        """Check whether the ranks that are given decide on a metric of this reach.

        Where all relevant images are ranked, all others are known not to be relevant.
        """
        if reach == "first":
            return bool(self.relevant.any(axis=1).all())
        if reach == "last":
            return bool(self.is_complete.all())
        last = self.total if reach == "R" else k
        return bool((self.is_complete | (self.lengths >= last)).all())
