"""Of several copies of one picture, which stays; and pictures that stand under two labels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from outliers_bench.apps.clean.finding_kinds import Finding
from outliers_bench.apps.clean.findings import Photo

Contents = tuple[bytes, bytes]


def duplicate_findings(
    photos: Iterable[Photo], near: Mapping[Contents, float], *, near_goes: bool
) -> list[Finding]:
    """The copies that are not needed; of every picture and label the best photo stays.

    A near duplicate is one of a photo that stays: of three pictures, the second like the first
    and the third like the second only, the third stays too.

    Parameters
    ----------
    photos : iterable of Photo
        Those that are not moved for other reasons.
    near : mapping of (bytes, bytes) to float
        Likeness of two contents, both ways round.
    near_goes : bool
        Whether near duplicates are to be moved; then the best of their copies goes as well.

    Returns
    -------
    list of Finding
        `duplicate` and `near_duplicate`; `other` is a photo that stays.
    """
    alike = _neighbors(near)
    by_label: dict[str | None, dict[bytes, list[Photo]]] = defaultdict(lambda: defaultdict(list))
    for photo in sorted(photos, key=lambda photo: photo.order):
        by_label[photo.label][photo.digest].append(photo)
    found = []
    for contents in by_label.values():
        kept: dict[bytes, Photo] = {}
        for digest, (best, *others) in contents.items():  # the best first
            beside = [(likeness, kept[b]) for b, likeness in alike[digest] if b in kept]
            if not beside:
                kept[digest] = best
                found += [_duplicate(other, best) for other in others]
                continue
            # The most alike; of those the best.
            likeness, stays = min(beside, key=lambda pair: (-pair[0], pair[1].order))
            found.append(_near(best, stays, likeness))
            found += [
                _near(other, stays, likeness) if near_goes else _duplicate(other, best)
                for other in others
            ]
    return found


def conflict_findings(photos: Sequence[Photo], near: Mapping[Contents, float]) -> list[Finding]:
    """Every photo whose picture stands under another label too, exactly or nearly.

    Parameters
    ----------
    photos : sequence of Photo
    near : mapping of (bytes, bytes) to float
        Likeness of two contents, both ways round.
    """
    alike = _neighbors(near)
    by_content: dict[bytes, list[Photo]] = defaultdict(list)
    for photo in photos:
        if photo.label is not None:
            by_content[photo.digest].append(photo)
    found = []
    for photo in photos:
        if photo.label is None:
            continue
        others = [
            (likeness, other)
            for digest, likeness in [(photo.digest, 1.0), *alike[photo.digest]]
            for other in by_content[digest]
            if other.label != photo.label
        ]
        if others:
            likeness, other = min(others, key=lambda pair: (-pair[0], pair[1].name))
            detail = f"is {photo.label!r} here and {other.label!r} as {other.name}"
            found.append(Finding(photo.name, "conflicting_labels", detail, other.name, likeness))
    return found


def _neighbors(near: Mapping[Contents, float]) -> dict[bytes, list[tuple[bytes, float]]]:
    alike: dict[bytes, list[tuple[bytes, float]]] = defaultdict(list)
    for (first, second), likeness in near.items():
        alike[first].append((second, likeness))
    return alike


def _duplicate(photo: Photo, stays: Photo) -> Finding:
    return Finding(photo.name, "duplicate", f"same content as {stays.name}", stays.name, 1.0)


def _near(photo: Photo, stays: Photo, likeness: float) -> Finding:
    look = photo.look
    detail = f"{look.width} x {look.height}, kept is {stays.look.width} x {stays.look.height}"
    return Finding(photo.name, "near_duplicate", detail, stays.name, likeness)
