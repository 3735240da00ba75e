"""What becomes of photos that stand in two parts of a split: `data.leakage`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

from outliers_bench.data.leaks import Leaks, find_leaks
from outliers_bench.errors import BenchError
from outliers_bench.types import ImageSet, LeftOut, Split

_NAMED = 3  # pairs that an error names


class Leakage(Enum):
    """What becomes of photos that stand in two parts of a split, exactly or nearly."""

    report = "report"
    """They stay, and are counted; the scores without them stand beside."""
    drop = "drop"
    """They are taken out; the scores with them stand beside."""
    group = "group"
    """Photos that are nearly the same go to one part when the split is cut."""
    error = "error"
    """The run is refused."""


@dataclass(frozen=True, eq=False)
class Audited:
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

    def without(self, unreadable: dict[bytes, LeftOut]) -> Audited:
        """The same without images that could not be read."""
        split = self.split.without(unreadable)
        whole = self.whole.without(unreadable) if self.dropped else split
        return replace(self, split=split, whole=whole)


def audit(split: Split, leakage: Leakage, *, cache: Path) -> Audited:
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
        return Audited(split, leaks, split)
    if leakage is Leakage.drop:
        return Audited(dropped(split, leaks), leaks, split)
    if leakage is Leakage.group:
        raise BenchError(
            f"{split.name}: data.leakage=group cuts photos that are nearly the same into one part, "
            f"but this split is ready-made, and {said(leaks)}: {_first(leaks)}; use "
            "data.leakage=drop or data.leakage=report"
        )
    raise BenchError(
        f"{split.name}: {said(leaks)}: {_first(leaks)}; take them out, or use data.leakage=drop or "
        "data.leakage=report"
    )


def said(leaks: Leaks) -> str:
    """How many leaks there are, in words."""
    return counted(leaks.number("exact"), leaks.number("near"), within=leaks.within)


def counted(exact: float, near: float, *, within: bool = False) -> str:
    """How many photos stand in two parts, or `within` one set, in words.

    Examples
    --------
    >>> counted(20, 21), counted(0, 1)
    ('41 photos stand in two parts (20 exactly, 21 nearly)', '1 photo stands in two parts (nearly)')
    """
    n = exact + near
    kinds = f"{exact:,.0f} exactly, {near:,.0f} nearly" if exact and near else "exactly"
    kinds = kinds if exact else "nearly"
    where = "twice in the set" if within else "in two parts"
    return f"{n:,.0f} photo{' stands' if n == 1 else 's stand'} {where} ({kinds})"


def _first(leaks: Leaks) -> str:
    told = []
    for pair in leaks.pairs[:_NAMED]:
        one, other = (
            f"{leaks.images.names[row]} ({leaks.parts[row]})" for row in (pair.first, pair.second)
        )
        told.append(f"{one} and {other}")
    more = len(leaks) - _NAMED
    return "; ".join(told) + (f"; and {more:,} more" if more > 0 else "")


def dropped(split: Split, leaks: Leaks) -> Split:
    """The split with each picture in one part only.

    It stays in query first, then in the gallery, then in train. A part without labels stays
    complete: each of its images is to be ranked. With leave-one-out one of each picture stays, by
    content.

    Raises
    ------
    BenchError
        If nothing is left of the gallery.
    """
    left_out: list[LeftOut] = []
    if split.leave_one_out:
        once = _once(split.gallery, leaks, left_out)
        also = split.images.without(set(once.digests))
        left = (*split.left_out, *left_out)
        return replace(split, query=once, gallery=once, left_out=left, also=also)
    seen: dict[bytes, tuple[bytes, str]] = {}  # by what it stands for: content, name
    parts: list[ImageSet] = []
    for images in (split.query, split.gallery, split.train):
        kept = []
        for row, digest in enumerate(images.digests):
            first = seen.get(leaks.stands_for(digest))
            if first is None or images.labels is None:
                kept.append(row)
            else:
                left_out.append(_copy(images.names[row], first, digest))
        parts.append(images.take(kept))
        for row in kept:
            digest = images.digests[row]
            seen.setdefault(leaks.stands_for(digest), (digest, images.names[row]))
    query, gallery, train = parts
    if not len(gallery):
        raise BenchError(
            f"{split.name}: with data.leakage=drop nothing is left of the gallery: each of its "
            "photos is a query too, exactly or nearly"
        )
    return replace(
        split,
        train=train,
        query=query,
        gallery=gallery,
        left_out=(*split.left_out, *left_out),
        also=split.images.without({d for part in parts for d in part.digests}),
    )


def clean(split: Split, leaks: Leaks, *, learned: bool) -> Split | None:
    """What a method that has learned already can be asked without leaks.

    Gallery photos that are a query too are struck out, for all queries. A query that is in train
    too is left out where the method has learned from the labels there.

    Parameters
    ----------
    split : Split
        With its leaks.
    leaks : Leaks
    learned : bool
        Whether the method has learned from the labels of train.

    Returns
    -------
    Split or None
        None where nothing is left to ask or to find.
    """
    if split.leave_one_out:
        once = _once(split.gallery, leaks, [])
        return replace(split, query=once, gallery=once)
    asked = {leaks.stands_for(digest) for digest in split.query.digests}
    learned_from = {leaks.stands_for(digest) for digest in split.train.digests}
    gallery = _others(split.gallery, asked, leaks)
    query = _others(split.query, learned_from, leaks) if learned else split.query
    if not len(query) or not len(gallery):
        return None
    return replace(split, query=query, gallery=gallery)


def _others(images: ImageSet, taken: set[bytes], leaks: Leaks) -> ImageSet:
    rows = [row for row, d in enumerate(images.digests) if leaks.stands_for(d) not in taken]
    return images.take(rows)


def _once(images: ImageSet, leaks: Leaks, left_out: list[LeftOut]) -> ImageSet:
    """One of each picture, the one with the smallest digest, so that names decide nothing."""
    first: dict[bytes, tuple[bytes, str]] = {}
    for digest, name in sorted(zip(images.digests, images.names, strict=True)):
        first.setdefault(leaks.stands_for(digest), (digest, name))
    kept = []
    for row, (digest, name) in enumerate(zip(images.digests, images.names, strict=True)):
        if first[leaks.stands_for(digest)] == (digest, name):
            kept.append(row)
        else:
            left_out.append(_copy(name, first[leaks.stands_for(digest)], digest))
    return images.take(kept)


def _copy(name: str, first: tuple[bytes, str], digest: bytes) -> LeftOut:
    how = "same content as" if first[0] == digest else "nearly the same as"
    return LeftOut(name, "duplicate", f"{how} {first[1]}")


def grouped(images: ImageSet, *, cache: Path) -> ImageSet:
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
    from outliers_bench.duplicates.pair import Pair, groups

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
