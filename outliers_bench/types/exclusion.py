"""Gallery images that are excluded for a query: a rule, and its form for arrays."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from outliers_bench.types.arrays import BoolArray, IntArray


@dataclass(frozen=True)
class Excluded:
    """Rule by which gallery images are excluded for a query; see `NOTHING`, `ITSELF`, `same`.

    A rule stays valid when images are taken out of a split; `Split.exclusion` applies it.

    Parameters
    ----------
    rule : str
        `nothing`; `itself`, the query's own row where query and gallery are one set; or `same`,
        every image with the query's value of a column.
    column : str
        Column of `ImageSet.columns`, for `same`.
    """

    rule: Literal["nothing", "itself", "same"]
    column: str = ""


NOTHING = Excluded("nothing")
ITSELF = Excluded("itself")


def same(column: str) -> Excluded:
    """Return the rule that excludes gallery images with the query's value of a column.

    A missing value (empty, None, NaN, NaT) equals no other; where query and gallery are one set,
    an image without a value is still excluded from its own ranking.
    """
    return Excluded("same", column)


@dataclass(frozen=True, eq=False)
class Exclusion:
    """Excluded gallery images of each query: those that have the key of the query.

    Parameters
    ----------
    query_keys : array of int64, shape (n_query,)
    gallery_keys : array of int64, shape (n_gallery,)
    items : array of int64, shape (n_query,), or None
        Gallery image that each query is, if exactly this one is excluded.

    Examples
    --------
    >>> exclusion = Exclusion(np.array([7, 8]), np.array([7, 9, 7]))
    >>> exclusion.counts, exclusion.largest, exclusion.max_depth
    (array([2, 0]), 2, 1)
    """

    query_keys: IntArray
    gallery_keys: IntArray
    items: IntArray | None = None

    @classmethod
    def nothing(cls, n_query: int, n_gallery: int) -> Exclusion:
        """Exclude nothing."""
        return cls(np.full(n_query, -1, dtype=np.int64), np.arange(n_gallery, dtype=np.int64))

    @classmethod
    def itself(cls, n: int) -> Exclusion:
        """Exclude gallery image i for query i, of n."""
        rows = np.arange(n, dtype=np.int64)
        return cls(rows, rows, items=rows)

    @classmethod
    def same_value(
        cls, query: npt.NDArray[Any], gallery: npt.NDArray[Any], *, one_set: bool = False
    ) -> Exclusion:
        """Exclude gallery images with the value of the query; see `same`.

        Parameters
        ----------
        query : array, shape (n_query,)
            Values of the queries.
        gallery : array, shape (n_gallery,)
        one_set : bool
            Whether query i is gallery image i.
        """
        numbers: dict[object, int] = {}
        keys = [numbers.setdefault(value, len(numbers)) for value in chain(query, gallery)]
        values = np.array(keys, dtype=np.int64)
        missing = np.concatenate([_is_missing(query), _is_missing(gallery)])
        rows = np.arange(len(values))
        if one_set:
            rows[len(query) :] = rows[: len(query)]
        values[missing] = -1 - rows[missing]
        return cls(values[: len(query)], values[len(query) :])

    @cached_property
    def counts(self) -> IntArray:
        """Number of excluded gallery images of each query, shape (n_query,)."""
        keys = np.sort(self.gallery_keys)
        first, last = (keys.searchsorted(self.query_keys, side) for side in ("left", "right"))
        return np.asarray(last - first, dtype=np.int64)

    @cached_property
    def largest(self) -> int:
        """Largest number of excluded gallery images of a query."""
        return int(self.counts.max(initial=0))

    @property
    def max_depth(self) -> int:
        """Depth to which the gallery can be ranked for every query."""
        return len(self.gallery_keys) - self.largest

    def mask(self, rows: slice | IntArray, positions: IntArray) -> BoolArray:
        """Check which gallery images are excluded for some queries.

        Parameters
        ----------
        rows : slice or array of int64, shape (b,) or (1,)
            Queries.
        positions : array of int64, shape (b, k) or (1, k)
            Gallery images.

        Returns
        -------
        array of bool, shape (b, k)
        """
        return np.asarray(self.gallery_keys[positions] == self.query_keys[rows][:, None])

    def take(self, rows: slice | IntArray) -> Exclusion:
        """Return the exclusion of some queries, in that order."""
        items = None if self.items is None else self.items[rows]
        taken = Exclusion(self.query_keys[rows], self.gallery_keys, items)
        taken.__dict__["counts"] = self.counts[rows]  # the gallery is not sorted again
        return taken

    def with_equal(self, query: IntArray, gallery: IntArray) -> Exclusion:
        """Return the exclusion of those images only that also have an equal value.

        Parameters
        ----------
        query : array of int64, shape (n_query,)
            Values of the queries, at least 0, such as labels.
        gallery : array of int64, shape (n_gallery,)
        """
        n = len(self.query_keys)
        _, keys = np.unique(
            np.concatenate([self.query_keys, self.gallery_keys]), return_inverse=True
        )
        values = np.concatenate([query, gallery])
        combined = keys.reshape(-1) * (int(values.max(initial=0)) + 1) + values
        return Exclusion(combined[:n], combined[n:])


def _is_missing(values: npt.NDArray[Any]) -> BoolArray:
    # NaN and NaT differ from themselves.
    return np.array([v is None or v != v or str(v) == "" for v in values], dtype=np.bool_)  # noqa: PLR0124
