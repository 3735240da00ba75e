"""Inspection of a photo folder: list, hash, decode each photo once, compare."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from outliers_bench.apps.clean.copies import find_duplicates, find_label_conflicts
from outliers_bench.apps.clean.finding_kinds import KINDS, Finding, Kind
from outliers_bench.apps.clean.findings import (
    Limits,
    Photo,
    find_bad_names,
    find_defects,
    find_lonely_labels,
    paths_to_move,
)
from outliers_bench.apps.clean.image_stats import MeasuringReader, measure_images
from outliers_bench.apps.clean.listing import Listing, labels_and_parts, list_files
from outliers_bench.data.digests import digest_files
from outliers_bench.duplicates.find import Duplicates, find_pairs
from outliers_bench.errors import BenchError
from outliers_bench.types import ImageSet


@dataclass(frozen=True)
class Inspection:
    """Result of the inspection of a folder.

    Parameters
    ----------
    listing : Listing
        Files in the folder.
    images : ImageSet
        Photos whose files can be read.
    labels : int
        Number of class folders.
    findings : tuple of Finding
        Findings, sorted by kind and path.
    to_move : frozenset of str
        Photos to be moved.
    empty_labels : tuple of str
        Labels without any photo left.
    """

    listing: Listing
    images: ImageSet
    labels: int
    findings: tuple[Finding, ...]
    to_move: frozenset[str]
    empty_labels: tuple[str, ...]


def inspect(
    root: Path, *, cache: Path, limits: Limits, kinds_to_move: AbstractSet[Kind], near: bool
) -> Inspection:
    """Find problems with the photos below a folder.

    Parameters
    ----------
    root : Path
    cache : Path
        Folder where measurements are cached by content; a second inspection decodes nothing.
    limits : Limits
    kinds_to_move : set of str
        Kinds of findings whose photos are to be moved.
    near : bool
        Whether to search for near duplicates.

    Raises
    ------
    BenchError
        If there are no photos, a folder cannot be listed or the cache cannot be written.
    """
    listing = list_files(root)
    if not (listing.photos or listing.unsupported):
        raise BenchError(
            f"root={root}: there are no photos in it; {listing.others:,} other files and "
            f"{listing.links:,} links were skipped"
        )
    digests, lost = digest_files(root, listing.photos, cache=cache)
    labels = labels_and_parts([*listing.photos, *listing.unsupported])
    reader = MeasuringReader(root, cache)
    images = _image_set(digests, {name: label for name, (label, _) in labels.items()}, reader)
    try:
        pairs = find_pairs(images, cache=cache, near=near)
    finally:
        reader.flush()
    measured = measure_images(images, reader)
    unreadable = {item.name: item.detail for item in lost}
    photos = []
    for name, digest in digests.items():
        if digest in measured.unreadable:
            unreadable[name] = measured.unreadable[digest]
        else:
            photos.append(Photo(name, *labels[name], digest, measured.stats[digest]))
    findings, to_move, empty_labels = _find_problems(
        listing,
        unreadable,
        photos,
        near_duplicate_contents(images, pairs),
        limits=limits,
        kinds_to_move=kinds_to_move,
    )
    order = {kind: number for number, kind in enumerate(KINDS)}
    findings.sort(key=lambda finding: (order[finding.kind], finding.path))
    classes = {label for label, _ in labels.values() if label is not None}
    return Inspection(
        listing, images, len(classes), tuple(findings), frozenset(to_move), tuple(empty_labels)
    )


def _find_problems(
    listing: Listing,
    unreadable: Mapping[str, str],
    photos: Sequence[Photo],
    near: Mapping[tuple[bytes, bytes], float],
    *,
    limits: Limits,
    kinds_to_move: AbstractSet[Kind],
) -> tuple[list[Finding], set[str], list[str]]:
    """Return all findings, the photos to move, and the labels that have no photo left then."""
    findings = find_defects(listing, unreadable, photos, limits)
    # A photo that will be moved cannot be the better one of two duplicates.
    to_move = paths_to_move(findings, kinds_to_move)
    remaining = [photo for photo in photos if photo.name not in to_move]
    findings += find_label_conflicts(remaining, near)
    to_move = paths_to_move(findings, kinds_to_move)
    remaining = [photo for photo in photos if photo.name not in to_move]
    findings += find_duplicates(remaining, near, move_near="near_duplicate" in kinds_to_move)
    to_move = paths_to_move(findings, kinds_to_move)
    labels = {photo.name: photo.label for photo in photos}
    lonely, empty_labels = find_lonely_labels(labels, to_move)
    findings += lonely + find_bad_names([*listing.photos, *listing.unsupported])
    return findings, paths_to_move(findings, kinds_to_move), empty_labels


def near_duplicate_contents(
    images: ImageSet, duplicates: Duplicates
) -> dict[tuple[bytes, bytes], float]:
    """Return the likeness of each pair of near-duplicate contents, in both orders."""
    near: dict[tuple[bytes, bytes], float] = defaultdict(float)
    for pair in duplicates.pairs:
        first, second = images.digests[pair.first], images.digests[pair.second]
        if first != second:
            for key in ((first, second), (second, first)):
                near[key] = max(near[key], pair.likeness)
    return dict(near)


def _image_set(
    digests: Mapping[str, bytes], labels: Mapping[str, str | None], reader: MeasuringReader
) -> ImageSet:
    """Return the photos as an image set; the class of photos without a class folder is empty."""
    classes = tuple(sorted({labels[name] or "" for name in digests}))
    indices = {label: index for index, label in enumerate(classes)}
    return ImageSet(
        names=tuple(digests),
        digests=tuple(digests.values()),
        labels=np.array([indices[labels[name] or ""] for name in digests], dtype=np.int64),
        classes=classes,
        reader=reader,
    )
