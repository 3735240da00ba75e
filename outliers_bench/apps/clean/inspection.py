"""One look through a folder of photos: listed, digested, decoded once, compared."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from outliers_bench.apps.clean.copies import conflict_findings, duplicate_findings
from outliers_bench.apps.clean.finding_kinds import KINDS, Finding, Kind
from outliers_bench.apps.clean.findings import (
    Limits,
    Photo,
    going,
    lonely_findings,
    name_findings,
    single_findings,
)
from outliers_bench.apps.clean.image_stats import LookingReader, look_at
from outliers_bench.apps.clean.listing import Listing, labels_and_parts, list_files
from outliers_bench.data.digests import digest_files
from outliers_bench.duplicates.find import Found, find_pairs
from outliers_bench.errors import BenchError
from outliers_bench.types import ImageSet


@dataclass(frozen=True)
class Inspection:
    """What was found in a folder.

    Parameters
    ----------
    listing : Listing
        What lies there.
    images : ImageSet
        The photos whose files can be read.
    labels : int
        Number of class folders.
    findings : tuple of Finding
        By kind, then by path.
    going : frozenset of str
        Photos that are to be moved.
    empty : tuple of str
        Labels of which no photo stays.
    """

    listing: Listing
    images: ImageSet
    labels: int
    findings: tuple[Finding, ...]
    going: frozenset[str]
    empty: tuple[str, ...]


def inspect(
    root: Path, *, cache: Path, limits: Limits, moved: AbstractSet[Kind], near: bool
) -> Inspection:
    """Find what is wrong with the photos below a folder.

    Parameters
    ----------
    root : Path
    cache : Path
        What was seen of a content is kept there: a second time nothing is decoded.
    limits : Limits
    moved : set of str
        The kinds that are to be moved.
    near : bool
        Whether near duplicates are looked for.

    Raises
    ------
    BenchError
        If there are no photos, a folder cannot be listed or the cache cannot be written.
    """
    listing = list_files(root)
    if not (listing.photos or listing.unsupported):
        raise BenchError(
            f"root={root}: there are no photos in it; {listing.others:,} other files and "
            f"{listing.links:,} links were passed over"
        )
    digests, lost = digest_files(root, listing.photos, cache=cache)
    labels = labels_and_parts([*listing.photos, *listing.unsupported])
    reader = LookingReader(root, cache)
    images = _image_set(digests, {name: label for name, (label, _) in labels.items()}, reader)
    try:
        pairs = find_pairs(images, cache=cache, near=near)
    finally:
        reader.flush()
    looks = look_at(images, reader)
    unreadable = {item.name: item.detail for item in lost}
    photos = []
    for name, digest in digests.items():
        if digest in looks.unreadable:
            unreadable[name] = looks.unreadable[digest]
        else:
            photos.append(Photo(name, *labels[name], digest, looks.seen[digest]))
    findings, leaving, empty = _judge(
        listing, unreadable, photos, near_contents(images, pairs), limits=limits, moved=moved
    )
    order = {kind: number for number, kind in enumerate(KINDS)}
    findings.sort(key=lambda finding: (order[finding.kind], finding.path))
    classes = {label for label, _ in labels.values() if label is not None}
    return Inspection(
        listing, images, len(classes), tuple(findings), frozenset(leaving), tuple(empty)
    )


def _judge(
    listing: Listing,
    unreadable: Mapping[str, str],
    photos: Sequence[Photo],
    near: Mapping[tuple[bytes, bytes], float],
    *,
    limits: Limits,
    moved: AbstractSet[Kind],
) -> tuple[list[Finding], set[str], list[str]]:
    """All findings, what is to be moved, and the labels that this leaves empty."""
    names = [*listing.photos, *listing.unsupported]
    found = single_findings(listing, unreadable, photos, limits)
    # Only what stays can be the better copy of anything.
    gone = going(found, moved)
    found += conflict_findings([photo for photo in photos if photo.name not in gone], near)
    gone = going(found, moved)
    staying = [photo for photo in photos if photo.name not in gone]
    found += duplicate_findings(staying, near, near_goes="near_duplicate" in moved)
    gone = going(found, moved)
    usable = {photo.name: photo.label for photo in photos}
    lonely, empty = lonely_findings(usable, gone)
    found += lonely + name_findings(names)
    return found, going(found, moved), empty


def near_contents(images: ImageSet, found: Found) -> dict[tuple[bytes, bytes], float]:
    """Likeness of the contents that are nearly the same picture, both ways round."""
    near: dict[tuple[bytes, bytes], float] = defaultdict(float)
    for pair in found.pairs:
        first, second = images.digests[pair.first], images.digests[pair.second]
        if first != second:
            for key in ((first, second), (second, first)):
                near[key] = max(near[key], pair.likeness)
    return dict(near)


def _image_set(
    digests: Mapping[str, bytes], labels: Mapping[str, str | None], reader: LookingReader
) -> ImageSet:
    """The photos as a set; those without a class folder are of the class ``."""
    classes = tuple(sorted({labels[name] or "" for name in digests}))
    number = {label: row for row, label in enumerate(classes)}
    return ImageSet(
        names=tuple(digests),
        digests=tuple(digests.values()),
        labels=np.array([number[labels[name] or ""] for name in digests], dtype=np.int64),
        classes=classes,
        reader=reader,
    )
