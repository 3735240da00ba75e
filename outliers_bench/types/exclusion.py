"""Gallery images that are excluded for a query: a rule, and its form for arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, combinations
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from outliers_bench.types.arrays import BoolArray, IntArray


class SameValue(NamedTuple):
    """Exclusion of gallery images that have the query's value of a column."""

    column: str
    and_label: bool
    """Only those that have the query's label too; without labels, all of them."""


@dataclass(frozen=True)
class Excluded:
    """Rule by which gallery images are excluded for a query; see `NOTHING`, `ITSELF`, `same`.

    Rules are joined by `|`: an image is excluded if any of them excludes it. A rule stays valid
    when images are taken out of a split; `Split.exclusion` applies it.

    Parameters
    ----------
    itself : bool
        Whether the query itself is excluded, which is in the gallery, too.
    values : tuple of SameValue
        Columns of `ImageSet.columns`.

    Examples
    --------
    >>> (ITSELF | same("group") | same("camera", and_label=True)).columns
    ('group', 'camera')
    """

    itself: bool = False
    values: tuple[SameValue, ...] = ()

    def __or__(self, other: Excluded) -> Excluded:
        more = tuple(value for value in other.values if value not in self.values)
        return Excluded(self.itself or other.itself, (*self.values, *more))

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns whose values exclude images."""
        return tuple(value.column for value in self.values)


NOTHING = Excluded()
ITSELF = Excluded(itself=True)


def same(column: str, *, and_label: bool = False) -> Excluded:
    """Return the rule that excludes gallery images with the query's value of a column.

    A missing value (empty, None, NaN, NaT) equals no other; where the queries are gallery images,
    an image without a value is still excluded from its own ranking.

    Parameters
    ----------
    column : str
        Column of `ImageSet.columns`.
    and_label : bool
        Whether only images of the query's label are excluded, which are relevant otherwise: the
        junk images of Market-1501 have the query's label and its camera.

    References
    ----------
    L. Zheng et al., "Scalable Person Re-identification: A Benchmark", ICCV 2015 (Market-1501).
    """
    return Excluded(values=(SameValue(column, and_label),))


@dataclass(frozen=True, eq=False)
class Exclusion:
    """Excluded gallery images of each query: those that have one of the keys of the query.

    Parameters
    ----------
    query_keys : array of int64, shape (n_rules, n_query)
    gallery_keys : array of int64, shape (n_rules, n_gallery)
        An image is excluded if its key of any rule is that of the query.
    items : array of int64, shape (n_query,), or None
        Gallery image that each query is, if exactly this one is excluded.

    Examples
    --------
    >>> exclusion = Exclusion(np.array([[7, 8]]), np.array([[7, 9, 7]]))
    >>> exclusion.counts, exclusion.largest, exclusion.max_depth
    (array([2, 0]), 2, 3)
    """

    query_keys: IntArray
    gallery_keys: IntArray
    items: IntArray | None = None

    @classmethod
    def nothing(cls, n_query: int, n_gallery: int) -> Exclusion:
        """Exclude nothing."""
        return cls(np.empty((0, n_query), np.int64), np.empty((0, n_gallery), np.int64))

    @classmethod
    def itself(cls, n: int) -> Exclusion:
        """Exclude gallery image i for query i, of n."""
        return cls.of_items(np.arange(n, dtype=np.int64), n)

    @classmethod
    def of_items(cls, items: IntArray, n_gallery: int) -> Exclusion:
        """Exclude one gallery image for each query, shape (n_query,): the query itself."""
        return cls(items[None], np.arange(n_gallery, dtype=np.int64)[None], items=items)

    @classmethod
    def same_value(
        cls, query: npt.NDArray[Any], gallery: npt.NDArray[Any], *, own: IntArray | None = None
    ) -> Exclusion:
        """Exclude gallery images with the value of the query; see `same`.

        Parameters
        ----------
        query : array, shape (n_query,)
            Values of the queries.
        gallery : array, shape (n_gallery,)
        own : array of int64, shape (n_query,), optional
            Gallery image that each query is, if the queries are gallery images.
        """
        numbers: dict[object, int] = {}
        keys = [numbers.setdefault(value, len(numbers)) for value in chain(query, gallery)]
        values = np.array(keys, dtype=np.int64)
        missing = np.concatenate([_is_missing(query), _is_missing(gallery)])
        n = len(query)
        rows = np.arange(len(values))
        if own is not None:
            rows[:n] = n + own
        values[missing] = -1 - rows[missing]
        return cls(values[None, :n], values[None, n:])

    @classmethod
    def any_of(cls, exclusions: Sequence[Exclusion]) -> Exclusion:
        """Exclude the images that any of one or more exclusions of the same images excludes."""
        if len(exclusions) == 1:
            return exclusions[0]
        return cls(
            np.concatenate([each.query_keys for each in exclusions]),
            np.concatenate([each.gallery_keys for each in exclusions]),
        )

    @cached_property
    def counts(self) -> IntArray:
        """Number of excluded gallery images of each query, shape (n_query,)."""
        counts = np.zeros(self.query_keys.shape[1], dtype=np.int64)
        rules = range(len(self.query_keys))
        # Inclusion and exclusion: an image that several rules exclude counts once.
        for number in range(1, len(rules) + 1):
            for chosen in combinations(rules, number):
                query, gallery = _combine(
                    self.query_keys[list(chosen)], self.gallery_keys[list(chosen)]
                )
                equal = np.bincount(gallery, minlength=int(query.max(initial=0)) + 1)[query]
                counts += equal if number % 2 else -equal
        return counts

    @cached_property
    def largest(self) -> int:
        """Largest number of excluded gallery images of a query."""
        return int(self.counts.max(initial=0))

    @property
    def available(self) -> IntArray:
        """Number of gallery images that are left for each query, shape (n_query,)."""
        return np.asarray(self.gallery_keys.shape[1] - self.counts)

    @property
    def max_depth(self) -> int:
        """Largest number of gallery images that are left for a query; others may have fewer."""
        return int(self.gallery_keys.shape[1]) - int(self.counts.min(initial=self.largest))

    def mask(self, rows: slice | IntArray, positions: IntArray) -> BoolArray:
        """Check which gallery images are excluded for some queries.

        Parameters
        ----------
        rows : slice or array of int64, shape (b,) or (1,)
            Queries.
        positions : array of int64, shape (b, k) or (1, k)
            Gallery images; -1 for none, which is not excluded.

        Returns
        -------
        array of bool, shape (b, k)
        """
        n = self.query_keys[:, rows].shape[1]
        excluded = np.zeros(np.broadcast_shapes((n, 1), positions.shape), dtype=np.bool_)
        for query, gallery in zip(self.query_keys, self.gallery_keys, strict=True):
            excluded |= gallery[positions] == query[rows][:, None]
        if len(self.query_keys):
            excluded &= positions >= 0
        return excluded

    def images(self) -> tuple[IntArray, IntArray]:
        """Return the excluded gallery images of all queries, as pairs in the order of the queries.

        Returns
        -------
        rows, positions : array of int64, shape (m,)
        """
        n_query, n_gallery = self.query_keys.shape[1], self.gallery_keys.shape[1]
        pairs = [np.empty(0, dtype=np.int64)]
        for query, gallery in zip(self.query_keys, self.gallery_keys, strict=True):
            order = np.argsort(gallery, kind="stable")
            starts = np.searchsorted(gallery, query, sorter=order)
            counts = np.searchsorted(gallery, query, side="right", sorter=order) - starts
            found = order[ranges(starts, counts)]
            pairs.append(np.repeat(np.arange(n_query), counts) * n_gallery + found)
        # An image that several rules exclude counts once.
        rows, positions = np.divmod(np.unique(np.concatenate(pairs)), max(1, n_gallery))
        return rows, positions

    def take(self, rows: slice | IntArray) -> Exclusion:
        """Return the exclusion of some queries, in that order."""
        items = None if self.items is None else self.items[rows]
        taken = Exclusion(self.query_keys[:, rows], self.gallery_keys, items)
        taken.__dict__["counts"] = self.counts[rows]  # the gallery is not sorted again
        return taken

    def with_equal(self, query: IntArray, gallery: IntArray) -> Exclusion:
        """Return the exclusion of those images only that also have an equal value.

        Parameters
        ----------
        query : array of int64, shape (n_query,)
            Values of the queries, such as labels.
        gallery : array of int64, shape (n_gallery,)
        """
        query_keys, gallery_keys = self.query_keys.copy(), self.gallery_keys.copy()
        for of_query, of_gallery in zip(query_keys, gallery_keys, strict=True):
            of_query[:], of_gallery[:] = _combine(
                np.stack([of_query, query]), np.stack([of_gallery, gallery])
            )
        return Exclusion(query_keys, gallery_keys)


def ranges(starts: IntArray, counts: IntArray) -> IntArray:
    """Join ranges of integers, of which `starts` and `counts`, shape (m,), are starts and lengths.

    Examples
    --------
    >>> ranges(np.array([5, 0]), np.array([2, 3]))
    array([5, 6, 0, 1, 2])
    """
    before = np.cumsum(counts) - counts
    return np.repeat(starts - before, counts) + np.arange(counts.sum())


def _combine(query: IntArray, gallery: IntArray) -> tuple[IntArray, IntArray]:
    """Number the columns of keys, shapes (r, n_query) and (r, n_gallery): equal ones equally."""
    keys = np.concatenate([query, gallery], axis=1)
    numbers = np.zeros(keys.shape[1], dtype=np.int64)
    for row in keys:
        _, of_row = np.unique(row, return_inverse=True)
        joined = numbers * (int(of_row.max(initial=0)) + 1) + of_row.reshape(-1)
        numbers = np.unique(joined, return_inverse=True)[1].reshape(-1)
    return numbers[: query.shape[1]], numbers[query.shape[1] :]


def _is_missing(values: npt.NDArray[Any]) -> BoolArray:
    # NaN and NaT differ from themselves.
    return np.array([v is None or v != v or str(v) == "" for v in values], dtype=np.bool_)  # noqa: PLR0124
