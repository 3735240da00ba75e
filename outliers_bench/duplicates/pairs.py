"""What a search for duplicates gives: pairs, and the groups that they make."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["exact", "near"]


@dataclass(frozen=True)
class Pair:
    """Two rows of an image set that show the same picture.

    Parameters
    ----------
    first, second : int
        Rows, first < second.
    kind : {"exact", "near"}
        The same content, or the same picture in another file.
    likeness : float
        Correlation of what the two have in common, to 1; of exact copies 1.
    """

    first: int
    second: int
    kind: Kind
    likeness: float


def groups(pairs: Iterable[Pair], n: int) -> list[list[int]]:
    """Rows that hang together by pairs.

    Parameters
    ----------
    pairs : iterable of Pair
    n : int
        Number of rows of the set.

    Returns
    -------
    list of list of int
        Connected components of two or more rows, each ascending, by their first row.

    Examples
    --------
    >>> groups([Pair(0, 3, "exact", 1.0), Pair(3, 4, "near", 0.97)], 6)
    [[0, 3, 4]]
    """
    parent = list(range(n))

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    for pair in pairs:
        low, high = sorted((root(pair.first), root(pair.second)))
        parent[high] = low
    members: dict[int, list[int]] = defaultdict(list)
    for row in range(n):
        members[root(row)].append(row)
    return [rows for rows in members.values() if len(rows) > 1]
