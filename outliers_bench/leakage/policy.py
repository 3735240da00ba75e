"""Handling of leakage, photos that are in two parts of a split: `data.leakage`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from outliers_bench.data.exclude_same import exclude_same_values
from outliers_bench.data.source import DataSource, Leakage
from outliers_bench.data.validation import Evaluated, select_queries
from outliers_bench.errors import BenchError
from outliers_bench.leakage.find import Leaks, find_leaks
from outliers_bench.leakage.remove import drop_leaks
from outliers_bench.types import GROUP, ImageSet, LeftOut, Split

_SHOWN = 3  # pairs in an error message


@dataclass(frozen=True, eq=False)
class AuditedSplit:
    """A split and the leakage found in it."""

    split: Split  # to rank and score
    leaks: Leaks  # photos that are, or were, in two parts
    original: Split  # before duplicates were dropped; `split` itself if none were

    @property
    def is_filtered(self) -> bool:
        """True if duplicates across parts were dropped from the split."""
        return self.original is not self.split

    def without(self, unreadable: dict[bytes, LeftOut]) -> AuditedSplit:
        """Return the audited split without unreadable images."""
        split = self.split.without(unreadable)
        original = self.original.without(unreadable) if self.is_filtered else split
        return replace(self, split=split, original=original)

    def select_queries(self, validation: frozenset[bytes], evaluated: Evaluated) -> AuditedSplit:
        """Return the audited split with the queries to rank; see `validation.select_queries`."""
        if not validation:
            return self
        split = select_queries(self.split, validation, evaluated)
        original = select_queries(self.original, validation, evaluated)
        return replace(self, split=split, original=original if self.is_filtered else split)


def load_split(source: DataSource, *, seed: int, cache: Path) -> Split:
    """Load a split; with `data.leakage=group`, near duplicates are in the same part.

    Images that do not count for a query are excluded; see `data.exclude_same`.
    """
    group = partial(group_near_duplicates, cache=cache)
    split = source.load(seed=source.seed_of_split(seed), cache=cache, group=group)
    return exclude_same_values(split, source.exclude_same)


def audit(split: Split, leakage: Leakage, *, cache: Path) -> AuditedSplit:
    """Find leakage in a split as loaded, and handle it as requested.

    With `group` the images were split by groups, so that there should be no leakage.

    Raises
    ------
    BenchError
        If there is leakage and `error` is requested, or `group` for a ready-made split; or if a
        part would be empty.
    """
    leaks = find_leaks(split, cache=cache)
    if not leaks or leakage is Leakage.report:
        return AuditedSplit(split, leaks, split)
    if leakage is Leakage.drop:
        return AuditedSplit(drop_leaks(split, leaks), leaks, split)
    found = f"{describe_leaks(leaks)}: {_list_first(leaks)}"
    if leakage is Leakage.group:
        found = (
            "data.leakage=group puts near duplicates into one part, but this split is ready-made "
            f"and has {found}"
        )
    raise BenchError(
        f"{split.name}: {found}; remove them, or use data.leakage=drop or data.leakage=report"
    )


def describe_leaks(leaks: Leaks) -> str:
    """Describe the number of pairs found by an audit."""
    return describe_pair_counts(
        leaks.count("exact"), leaks.count("near"), within=leaks.is_within_set
    )


def describe_pair_counts(exact: float, near: float, *, within: bool = False) -> str:
    """Describe the number of pairs of duplicates across parts, or `within` one set.

    Examples
    --------
    >>> describe_pair_counts(20, 21)
    '41 pairs of duplicates across parts (20 exact, 21 near)'
    >>> describe_pair_counts(0, 1)
    '1 pair of duplicates across parts (near)'
    """
    n = exact + near
    kinds = f"{exact:,.0f} exact, {near:,.0f} near" if exact and near else "exact"
    kinds = kinds if exact else "near"
    where = "within the set" if within else "across parts"
    return f"{n:,.0f} pair{'' if n == 1 else 's'} of duplicates {where} ({kinds})"


def _list_first(leaks: Leaks) -> str:
    listed = []
    for pair in leaks.pairs[:_SHOWN]:
        one, other = (
            f"{leaks.images.names[row]} ({leaks.parts[row]})" for row in (pair.first, pair.second)
        )
        listed.append(f"{one} and {other}")
    more = len(leaks) - _SHOWN
    return "; ".join(listed) + (f"; and {more:,} more" if more > 0 else "")


def group_near_duplicates(images: ImageSet, *, cache: Path) -> ImageSet:
    """Return the images with near duplicates in the same group.

    Groups given by the user stay together, with the near duplicates of their images.
    """
    from outliers_bench.duplicates.find import find_pairs
    from outliers_bench.duplicates.pairs import Pair, group_rows

    pairs = list(find_pairs(images, cache=cache).pairs)
    first: dict[str, int] = {}
    for row, group in enumerate(images.groups or ()):
        if first.setdefault(group, row) != row:
            pairs.append(Pair(first[group], row, "exact", 1.0))
    if not pairs:
        return images
    # Named by content, so that renaming a file changes no split.
    group_names = [digest.hex() for digest in images.digests]
    for rows in group_rows(pairs, len(images)):
        smallest = min(group_names[row] for row in rows)
        for row in rows:
            group_names[row] = smallest
    groups = np.array(group_names, dtype=np.object_)
    return replace(images, columns={**images.columns, GROUP: groups})
