"""What becomes of photos that stand in two parts of a split: `data.leakage`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from outliers_bench.data.source import DataSource, Leakage
from outliers_bench.errors import BenchError
from outliers_bench.leakage.find import Leaks, find_leaks
from outliers_bench.leakage.remove import drop_leaks
from outliers_bench.types import ImageSet, LeftOut, Split

_NAMED = 3  # pairs that an error names


@dataclass(frozen=True, eq=False)
class AuditedSplit:
    """A split, and what was found in it.

    Parameters
    ----------
    split : Split
        What is ranked and scored.
    leaks : Leaks
        What stands, or stood, in two parts.
    whole : Split
        The photos as they were given: `split` itself unless leaks were dropped.
    """

    split: Split
    leaks: Leaks
    whole: Split

    @property
    def dropped(self) -> bool:
        """Whether the split is without its leaks."""
        return self.whole is not self.split

    def without(self, unreadable: dict[bytes, LeftOut]) -> AuditedSplit:
        """The same without images that could not be read."""
        split = self.split.without(unreadable)
        whole = self.whole.without(unreadable) if self.dropped else split
        return replace(self, split=split, whole=whole)


def load_split(source: DataSource, *, seed: int, cache: Path) -> Split:
    """Load a split, near duplicates in one part where `data.leakage=group` asks for it.

    Parameters
    ----------
    source : DataSource
    seed : int
    cache : Path
        See `DataSource.load`.
    """
    return source.load(seed=seed, cache=cache, group=partial(group_near_duplicates, cache=cache))


def audit(split: Split, leakage: Leakage, *, cache: Path) -> AuditedSplit:
    """Look for leaks, and do about them what was asked for.

    Parameters
    ----------
    split : Split
        As it was loaded.
    leakage : Leakage
        With `group` the split has been cut in groups, so that none should be left.
    cache : Path
        See `find_leaks`.

    Raises
    ------
    BenchError
        If there are leaks and `error` was asked for, or `group` of a ready-made split; or if
        nothing is left of a part.
    """
    leaks = find_leaks(split, cache=cache)
    if not leaks or leakage is Leakage.report:
        return AuditedSplit(split, leaks, split)
    if leakage is Leakage.drop:
        return AuditedSplit(drop_leaks(split, leaks), leaks, split)
    if leakage is Leakage.group:
        raise BenchError(
            f"{split.name}: data.leakage=group cuts photos that are nearly the same into one part, "
            f"but this split is ready-made and has {describe_leaks(leaks)}: {_first(leaks)}; use "
            "data.leakage=drop or data.leakage=report"
        )
    raise BenchError(
        f"{split.name}: {describe_leaks(leaks)}: {_first(leaks)}; take them out, or use data.leakage=drop or "
        "data.leakage=report"
    )


def describe_leaks(leaks: Leaks) -> str:
    """How many leaks there are, in words."""
    return describe_pair_counts(leaks.number("exact"), leaks.number("near"), within=leaks.within)


def describe_pair_counts(exact: float, near: float, *, within: bool = False) -> str:
    """How many pairs of copies stand in two parts, or `within` one set, in words.

    Examples
    --------
    >>> counted(20, 21), counted(0, 1)
    ('41 pairs of copies across parts (20 exact, 21 near)', '1 pair of copies across parts (near)')
    """
    n = exact + near
    kinds = f"{exact:,.0f} exact, {near:,.0f} near" if exact and near else "exact"
    kinds = kinds if exact else "near"
    where = "within the set" if within else "across parts"
    return f"{n:,.0f} pair{'' if n == 1 else 's'} of copies {where} ({kinds})"


def _first(leaks: Leaks) -> str:
    told = []
    for pair in leaks.pairs[:_NAMED]:
        one, other = (
            f"{leaks.images.names[row]} ({leaks.parts[row]})" for row in (pair.first, pair.second)
        )
        told.append(f"{one} and {other}")
    more = len(leaks) - _NAMED
    return "; ".join(told) + (f"; and {more:,} more" if more > 0 else "")


def group_near_duplicates(images: ImageSet, *, cache: Path) -> ImageSet:
    """The images with those in one group that are nearly the same.

    Groups that the user gave stay together with what is nearly the same as one of them.

    Parameters
    ----------
    images : ImageSet
        Before the cut.
    cache : Path
        See `duplicates.find.find_pairs`.
    """
    from outliers_bench.duplicates.find import find_pairs
    from outliers_bench.duplicates.pairs import Pair, groups

    pairs = list(find_pairs(images, cache=cache).pairs)
    first: dict[str, int] = {}
    for row, group in enumerate(images.groups or ()):
        if first.setdefault(group, row) != row:
            pairs.append(Pair(first[group], row, "exact", 1.0))
    if not pairs:
        return images
    # Named by content, so that a renamed file changes no split.
    named = [digest.hex() for digest in images.digests]
    for rows in groups(pairs, len(images)):
        smallest = min(named[row] for row in rows)
        for row in rows:
            named[row] = smallest
    return replace(images, groups=tuple(named))
