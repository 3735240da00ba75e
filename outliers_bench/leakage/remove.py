"""Splits without photos that stand in two parts: dropped before the run, or struck out after it."""

from __future__ import annotations

from dataclasses import replace

from outliers_bench.errors import BenchError
from outliers_bench.leakage.find import Leaks
from outliers_bench.types import ImageSet, LeftOut, Split


def drop_leaks(split: Split, leaks: Leaks) -> Split:
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
