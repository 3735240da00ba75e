"""Pairs of duplicates, and the groups that they form."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from outliers_bench.data.components import components, rows_by_value

Kind: TypeAlias = Literal["exact", "near"]


@dataclass(frozen=True)
class Pair:
    """Two rows of an image set with the same image.

    Parameters
    ----------
    first, second : int
        Rows, first < second.
    kind : {"exact", "near"}
        The same content, or the same image in another file.
    likeness : float
        Correlation of the two images in their overlap, at most 1; 1 for exact duplicates.
    """

    first: int
    second: int
    kind: Kind
    likeness: float


def group_rows(pairs: Iterable[Pair], n: int) -> list[list[int]]:
    """Return the connected components of two or more of n rows, each sorted.

    Examples
    --------
    >>> group_rows([Pair(0, 3, "exact", 1.0), Pair(3, 4, "near", 0.97)], 6)
    [[0, 3, 4]]
    """
    ends = np.array([(pair.first, pair.second) for pair in pairs], np.int64).reshape(-1, 2)
    return [rows for rows in rows_by_value(components(ends, n).tolist()) if len(rows) > 1]
