"""Remove leakage from a split, before the run or for a second score."""

from __future__ import annotations

from dataclasses import replace

from outliers_bench.errors import BenchError
from outliers_bench.leakage.find import Leaks
from outliers_bench.types import ImageSet, LeftOut, Split


def drop_leaks(split: Split, leaks: Leaks) -> Split:
    """Drop duplicates across parts, so that each image is in one part only.

    An image stays in query first, then in the gallery, then in train. A part without labels stays
    complete, since every image in it has to be ranked. If query and gallery are one set, one image
    of each group of duplicates stays, chosen by content.

    Raises
    ------
    BenchError
        If the gallery would be empty.
    """
    left_out: list[LeftOut] = []
    if split.is_one_set:
        unique = _without_duplicates(split.gallery, leaks, left_out)
        also = split.images.without(set(unique.digests))
        all_left_out = (*split.left_out, *left_out)
        return replace(split, query=unique, gallery=unique, left_out=all_left_out, also=also)
    seen: dict[bytes, tuple[bytes, str]] = {}  # by representative: content, name
    parts: list[ImageSet] = []
    for images in (split.query, split.gallery, split.train):
        rows = []
        for row, digest in enumerate(images.digests):
            first = seen.get(leaks.representative(digest))
            if first is None or images.labels is None:
                rows.append(row)
            else:
                left_out.append(_duplicate(images.names[row], first, digest))
        parts.append(images.take(rows))
        for row in rows:
            digest = images.digests[row]
            seen.setdefault(leaks.representative(digest), (digest, images.names[row]))
    query, gallery, train = parts
    if not len(gallery):
        raise BenchError(
            f"{split.name}: with data.leakage=drop the gallery would be empty: each of its "
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


def exclude_leaks(split: Split, leaks: Leaks, *, learned: bool) -> Split | None:
    """Exclude leakage from the evaluation of a method that is fitted already.

    Gallery photos that are queries too are excluded, for all queries. Queries that are in train too
    are excluded if the method has `learned` from the labels of train. The result is None if there
    are no queries or no gallery left.
    """
    if split.is_one_set or leaks.is_within_set:
        unique = _without_duplicates(split.gallery, leaks, [])
        query = unique
        if not split.is_one_set:  # validation queries, or those without them
            remaining = set(unique.digests)
            query = split.query.without(set(split.query.digests) - remaining)
        return replace(split, query=query, gallery=unique) if len(query) else None
    queries = {leaks.representative(digest) for digest in split.query.digests}
    learned_from = {leaks.representative(digest) for digest in split.train.digests}
    gallery = _exclude(split.gallery, queries, leaks)
    query = _exclude(split.query, learned_from, leaks) if learned else split.query
    if not len(query) or not len(gallery):
        return None
    return replace(split, query=query, gallery=gallery)


def _exclude(images: ImageSet, excluded: set[bytes], leaks: Leaks) -> ImageSet:
    rows = [row for row, d in enumerate(images.digests) if leaks.representative(d) not in excluded]
    return images.take(rows)


def _without_duplicates(images: ImageSet, leaks: Leaks, left_out: list[LeftOut]) -> ImageSet:
    """Return one image per group of duplicates: the smallest digest, independent of names."""
    first: dict[bytes, tuple[bytes, str]] = {}
    for digest, name in sorted(zip(images.digests, images.names, strict=True)):
        first.setdefault(leaks.representative(digest), (digest, name))
    rows = []
    for row, (digest, name) in enumerate(zip(images.digests, images.names, strict=True)):
        if first[leaks.representative(digest)] == (digest, name):
            rows.append(row)
        else:
            left_out.append(_duplicate(name, first[leaks.representative(digest)], digest))
    return images.take(rows)


def _duplicate(name: str, first: tuple[bytes, str], digest: bytes) -> LeftOut:
    how = "same content as" if first[0] == digest else "nearly the same as"
    return LeftOut(name, "duplicate", f"{how} {first[1]}")
