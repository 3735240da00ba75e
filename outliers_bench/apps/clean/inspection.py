"""Inspection of a photo folder: list, hash, decode each photo once, compare."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from outliers_bench.apps.clean.copies import Near, find_duplicates, find_label_conflicts
from outliers_bench.apps.clean.findings import (
    Finding,
    Photo,
    find_bad_names,
    find_defects,
    find_lonely_labels,
)
from outliers_bench.apps.clean.image_stats import MeasuringReader, measure_images
from outliers_bench.apps.clean.listing import Listing, labels_and_parts, list_files
from outliers_bench.apps.clean.options import KINDS, Clean
from outliers_bench.data.digests import digest_files
from outliers_bench.duplicates.find import Duplicates, find_pairs
from outliers_bench.errors import BenchError
from outliers_bench.types import ImageSet, Reason


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
    findings : list of Finding
        Findings, sorted by kind and path.
    to_move : set of str
        Photos to be moved.
    empty_labels : list of str
        Labels without any photo left.
    """

    listing: Listing
    images: ImageSet
    labels: int
    findings: list[Finding]
    to_move: set[str]
    empty_labels: list[str]


def inspect(root: Path, options: Clean, *, cache: Path) -> Inspection:
    """Find problems with the photos below a folder.

    Measurements are cached by content: a second inspection decodes nothing.

    Raises
    ------
    BenchError
        If there are no photos, a folder cannot be listed or the cache cannot be written.
    """
    listing = list_files(root)
    names = [*listing.photos, *listing.unsupported]
    if not names:
        raise BenchError(
            f"root={root}: there are no photos in it; {listing.others:,} other files and "
            f"{listing.links:,} links were skipped"
        )
    digests, lost = digest_files(root, listing.photos, cache=cache)
    labels = labels_and_parts(names, depth=options.label_depth)
    reader = MeasuringReader(root, cache=cache)
    images = ImageSet(
        names=tuple(digests),
        digests=tuple(digests.values()),
        labels=None,
        classes=(),
        reader=reader,
    )
    try:
        pairs = find_pairs(images, cache=cache, near=options.near)
        measured = measure_images(images, reader)
    finally:  # Ctrl-C loses no measurement
        reader.store()
    undecodable = {item.name: Reason(item.kind, item.detail) for item in lost}
    photos = []
    for name, digest in digests.items():
        stats = measured[digest]
        if isinstance(stats, Reason):
            undecodable[name] = stats
        else:
            photos.append(Photo(name, *labels[name], digest, stats))
    near, kinds_to_move = near_duplicates(images, pairs), options.kinds_to_move()

    def to_move() -> set[str]:
        return {finding.path for finding in findings if finding.kind in kinds_to_move}

    def remaining() -> list[Photo]:
        """Return the others: a moved photo cannot be the better one of two duplicates."""
        moved = to_move()
        return [photo for photo in photos if photo.name not in moved]

    findings = find_defects(listing, undecodable, photos, options)
    findings += find_label_conflicts(remaining(), near)
    move_near = "near_duplicate" in kinds_to_move
    findings += find_duplicates(remaining(), near, move_near=move_near)
    lonely, empty_labels = find_lonely_labels(
        {photo.name: photo.label for photo in photos}, to_move()
    )
    findings += lonely + find_bad_names(names)
    order = list(KINDS)
    findings.sort(key=lambda finding: (order.index(finding.kind), finding.path))
    classes = {label for label, _ in labels.values() if label is not None}
    return Inspection(listing, images, len(classes), findings, to_move(), empty_labels)


def near_duplicates(images: ImageSet, duplicates: Duplicates) -> Near:
    """Return the likeness of each pair of near-duplicate contents, in both orders."""
    near: defaultdict[bytes, dict[bytes, float]] = defaultdict(dict)
    for pair in duplicates.pairs:
        first, second = images.digests[pair.first], images.digests[pair.second]
        if first != second:
            for one, other in ((first, second), (second, first)):
                near[one][other] = max(near[one].get(other, 0.0), pair.likeness)
    return near
