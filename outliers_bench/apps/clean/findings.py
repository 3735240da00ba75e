"""Problems with single photos, their names and their labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from outliers_bench.apps.clean.image_stats import ImageStats
from outliers_bench.apps.clean.listing import Listing, find_collisions
from outliers_bench.apps.clean.options import Clean
from outliers_bench.data.listing import LISTED_ENDINGS
from outliers_bench.types import Reason


@dataclass(frozen=True)
class Finding:
    """One problem with one photo.

    Parameters
    ----------
    path : str
        Path of the photo relative to the root; for the kind `name` it may be a folder.
    kind : str
        One of `options.KINDS`.
    detail : str
        Short description.
    other : str
        Path of the photo that this one was compared with (for duplicates, the one that is
        retained), or an empty string.
    likeness : float or None
        Correlation of the two images, at most 1; 1 for exact duplicates.
    """

    path: str
    kind: str
    detail: str
    other: str = ""
    likeness: float | None = None


@dataclass(frozen=True)
class Photo:
    """A readable photo.

    Parameters
    ----------
    name : str
        Path relative to the root.
    label : str or None
        Name of its class folder.
    part : int
        Rank of its part; of duplicates in several parts, the one with the lowest rank is retained.
    digest : bytes
        Digest of the file's content.
    stats : ImageStats
    """

    name: str
    label: str | None
    part: int
    digest: bytes
    stats: ImageStats

    @property
    def sort_key(self) -> tuple[int, int, bool, str]:
        """Key that sorts duplicates from best to worst.

        By part, size (largest first), the ending of an image, without which other programs do not
        find a photo, and name.
        """
        other_ending = not self.name.lower().endswith(LISTED_ENDINGS)
        return self.part, -self.stats.width * self.stats.height, other_ending, self.name


def find_defects(
    listing: Listing, undecodable: Mapping[str, Reason], photos: Iterable[Photo], limits: Clean
) -> list[Finding]:
    """Find problems that concern a single photo: format, size, aspect ratio and contrast.

    `undecodable` has the reason by path.
    """
    findings = [Finding(name, *reason) for name, reason in undecodable.items()]
    for name, reason in listing.unsupported.items():
        findings.append(Finding(name, "unsupported", reason))
    for photo in photos:
        stats = photo.stats
        size = f"{stats.width} x {stats.height}"
        low, high = sorted((stats.width, stats.height))
        if low < limits.min_side:
            findings.append(Finding(photo.name, "tiny", f"{size} pixels"))
        if high > limits.max_aspect * low:
            findings.append(Finding(photo.name, "aspect", f"{size}, {high / low:.1f} : 1"))
        if stats.contrast < limits.min_contrast:
            detail = f"pixels differ by {stats.contrast:.0f} of 255"
            findings.append(Finding(photo.name, "blank", detail))
    return findings


def find_bad_names(names: Sequence[str]) -> list[Finding]:
    """Find file and folder names that other systems cannot represent or tell apart."""
    collisions = [
        Finding(name, "name", f"same as {other} if case and accent encoding are ignored", other)
        for name, other in find_collisions(names)
    ]
    invalid = [name for name in names if name.encode(errors="replace").decode() != name]
    return collisions + [Finding(name, "name", "is not valid UTF-8") for name in invalid]


def find_lonely_labels(
    labels: Mapping[str, str | None], to_move: AbstractSet[str]
) -> tuple[list[Finding], list[str]]:
    """Find photos that will be the only ones of their label, and labels without any photo left.

    `labels` has the label by photo.
    """
    remaining = {name: label for name, label in labels.items() if name not in to_move}
    count = Counter(remaining.values())
    findings = [
        Finding(name, "lonely_label", f"the only remaining photo of {label!r}")
        for name, label in remaining.items()
        if label is not None and count[label] == 1
    ]
    empty = {label for label in labels.values() if label is not None and not count[label]}
    return findings, sorted(empty)
