"""Duplicates of an image under one label, and images that appear under several labels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from outliers_bench.apps.clean.findings import Finding, Photo

Near = Mapping[bytes, Mapping[bytes, float]]
"""Likeness of the near duplicates of each content that has any."""


def find_duplicates(photos: Iterable[Photo], near: Near, *, move_near: bool) -> list[Finding]:
    """Find superfluous photos; the best photo of each image and label is retained.

    Near duplicates are not transitive: every photo reported is similar to a retained photo. If B
    is similar to A, and C to B only, then C is retained.

    Parameters
    ----------
    photos : iterable of Photo
        Photos that are not moved for other reasons.
    move_near : bool
        Whether near duplicates will be moved. If not, one photo of each near duplicate's content
        stays, and the others of that content are its exact duplicates.

    Returns
    -------
    list of Finding
        Findings of the kinds `duplicate` and `near_duplicate`; `other` is the retained photo
        (with `move_near=False`, `other` of an exact duplicate may be a near duplicate).
    """
    by_label: dict[str | None, dict[bytes, list[Photo]]] = defaultdict(lambda: defaultdict(list))
    for photo in sorted(photos, key=lambda photo: photo.sort_key):
        by_label[photo.label][photo.digest].append(photo)
    findings = []
    for contents in by_label.values():
        retained: dict[bytes, Photo] = {}
        for digest, (best, *others) in contents.items():  # best photos first
            similar = near.get(digest, {}).items()
            matches = [(likeness, retained[b]) for b, likeness in similar if b in retained]
            if not matches:
                retained[digest] = best
                findings += [_duplicate(other, best) for other in others]
                continue
            # The most similar photo; among equals, the best.
            likeness, original = min(matches, key=lambda match: (-match[0], match[1].sort_key))
            findings.append(_near_duplicate(best, original, likeness))
            findings += [
                _near_duplicate(other, original, likeness) if move_near else _duplicate(other, best)
                for other in others
            ]
    return findings


def find_label_conflicts(photos: Sequence[Photo], near: Near) -> list[Finding]:
    """Find photos whose image, or a near duplicate of it, also has another label.

    `other` of a finding is the most similar photo under another label.
    """
    labeled = [photo for photo in photos if photo.label is not None]
    by_content: dict[bytes, list[Photo]] = defaultdict(list)
    for photo in labeled:
        by_content[photo.digest].append(photo)
    findings = []
    for photo in labeled:
        others = [
            (likeness, other)
            for digest, likeness in [(photo.digest, 1.0), *near.get(photo.digest, {}).items()]
            for other in by_content[digest]
            if other.label != photo.label
        ]
        if others:
            likeness, other = min(others, key=lambda pair: (-pair[0], pair[1].name))
            detail = f"labeled {photo.label!r}, but {other.label!r} in {other.name}"
            findings.append(Finding(photo.name, "conflicting_labels", detail, other.name, likeness))
    return findings


def _duplicate(photo: Photo, original: Photo) -> Finding:
    detail = f"same content as {original.name}"
    return Finding(photo.name, "duplicate", detail, original.name, 1.0)


def _near_duplicate(photo: Photo, original: Photo, likeness: float) -> Finding:
    size, best = photo.stats, original.stats
    detail = f"{size.width} x {size.height}, retained is {best.width} x {best.height}"
    return Finding(photo.name, "near_duplicate", detail, original.name, likeness)
