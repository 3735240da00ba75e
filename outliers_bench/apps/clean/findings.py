"""Problems with single photos, their names and their labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from outliers_bench.apps.clean.finding_kinds import Finding, Kind
from outliers_bench.apps.clean.image_stats import ImageStats
from outliers_bench.apps.clean.listing import Listing, find_collisions, is_utf8
from outliers_bench.data.image_files import UNSUPPORTED
from outliers_bench.errors import BenchError


@dataclass(frozen=True)
class Limits:
    """Limits that an acceptable photo must meet.

    Parameters
    ----------
    min_side : int
        Minimum length of the shorter side in pixels.
    max_aspect : float
        Maximum of the longer side divided by the shorter one.
    min_contrast : float
        Minimum difference between the extreme pixel values, of 255, in a small version of the
        photo.

    Raises
    ------
    BenchError
        If a limit is out of range.
    """

    min_side: int
    max_aspect: float
    min_contrast: float

    def __post_init__(self) -> None:
        if self.min_side < 0:
            raise BenchError(f"min_side={self.min_side}: give 0 or more pixels")
        if not self.max_aspect >= 1:
            raise BenchError(f"max_aspect={self.max_aspect}: give 1 (square) or more")
        if not 0 <= self.min_contrast <= 255:
            raise BenchError(f"min_contrast={self.min_contrast}: give a number from 0 to 255")


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
    stats : Look
    """

    name: str
    label: str | None
    part: int
    digest: bytes
    stats: ImageStats

    @property
    def sort_key(self) -> tuple[int, int, str]:
        """Key that sorts duplicates from best to worst: by part, size (largest first) and name."""
        return self.part, -self.stats.width * self.stats.height, self.name


def find_defects(
    listing: Listing, unreadable: Mapping[str, str], photos: Iterable[Photo], limits: Limits
) -> list[Finding]:
    """Find problems that concern a single photo: format, size, aspect ratio and contrast.

    Parameters
    ----------
    listing : Listing
    unreadable : mapping of str to str
        Reason by path.
    photos : iterable of Photo
    limits : Limits
    """
    findings = [Finding(name, "unreadable", reason) for name, reason in unreadable.items()]
    for name in listing.unsupported:
        extension = next(end for end in UNSUPPORTED if name.lower().endswith(end))
        findings.append(
            Finding(name, "unsupported", f"{extension} is not supported; convert to JPEG")
        )
    for photo in photos:
        width, height, contrast = photo.stats.width, photo.stats.height, photo.stats.contrast
        low, high = sorted((width, height))
        if low < limits.min_side:
            findings.append(Finding(photo.name, "tiny", f"{width} x {height} pixels"))
        if high > limits.max_aspect * low:
            findings.append(
                Finding(photo.name, "aspect", f"{width} x {height}, {high / low:.1f} : 1")
            )
        if contrast < limits.min_contrast:
            findings.append(Finding(photo.name, "blank", f"pixels differ by {contrast:.0f} of 255"))
    return findings


def find_bad_names(names: Sequence[str]) -> list[Finding]:
    """Find file and folder names that other systems cannot represent or tell apart."""
    collisions = [
        Finding(name, "name", f"same as {other} if case and accent encoding are ignored", other)
        for name, other in find_collisions(names)
    ]
    invalid = [Finding(name, "name", "is not valid UTF-8") for name in names if not is_utf8(name)]
    return collisions + invalid


def find_lonely_labels(
    labels: Mapping[str, str | None], to_move: AbstractSet[str]
) -> tuple[list[Finding], list[str]]:
    """Find labels that will have a single photo, or none.

    Parameters
    ----------
    labels : mapping of str to (str or None)
        Label by photo.
    to_move : set of str
        Photos to be moved.

    Returns
    -------
    findings : list of Finding
        One for each photo that will be the only one of its label.
    empty_labels : list of str
        Labels without any photo left.
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


def paths_to_move(findings: Iterable[Finding], kinds: AbstractSet[Kind]) -> set[str]:
    """Return the paths with a finding of one of the given kinds."""
    return {finding.path for finding in findings if finding.kind in kinds}
