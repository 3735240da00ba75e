"""Connected components: rows that belong together, directly or through others."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence

import numpy as np

from outliers_bench.types import IntArray


def components(pairs: IntArray, n: int) -> IntArray:
    """Return the connected component of each of n rows: its first row.

    Importing SciPy for it would take a tenth of a second of every run.

    Parameters
    ----------
    pairs : array of int64, shape (n_pairs, 2)
        Connected rows.
    n : int

    Returns
    -------
    array of int64, shape (n,)

    References
    ----------
    Y. Shiloach, U. Vishkin, "An O(log n) Parallel Connectivity Algorithm", J. Algorithms 3, 1982.

    Examples
    --------
    >>> components(np.array([[0, 3], [3, 4]]), 5)
    array([0, 1, 2, 0, 0])
    """
    ids = np.arange(n)
    one, other = pairs.T
    while len(one):
        root, of_other = ids[one], ids[other]
        apart = root != of_other
        one, other = one[apart], other[apart]
        low, high = np.minimum(root, of_other)[apart], np.maximum(root, of_other)[apart]
        np.minimum.at(ids, high, low)
        while (jumped := ids[ids]).sum() < ids.sum():
            ids = jumped
    return ids


def connect(*columns: Sequence[Hashable]) -> IntArray:
    """Number images so that those with an equal value in any column have the same number.

    Images that are connected through others have the same number, too.

    Parameters
    ----------
    *columns : sequence, length n
        At least one.

    Returns
    -------
    array of int64, shape (n,)

    Examples
    --------
    >>> connect([1, 2, 3, 4], ["a", "a", "b", "c"]).tolist()
    [0, 0, 2, 3]
    """
    numbers: dict[tuple[int, Hashable], int] = {}
    nodes = [
        np.array([numbers.setdefault((at, value), len(numbers)) for value in column], np.int64)
        for at, column in enumerate(columns)
    ]
    if len(columns) == 1:
        return nodes[0]
    pairs = [np.column_stack([nodes[0], other]) for other in nodes[1:]]
    return components(np.concatenate(pairs), len(numbers))[nodes[0]]


def rows_by_value(values: Iterable[Hashable]) -> list[list[int]]:
    """Return the rows of each value, in the order of first rows."""
    members: dict[Hashable, list[int]] = defaultdict(list)
    for row, value in enumerate(values):
        members[value].append(row)
    return list(members.values())
