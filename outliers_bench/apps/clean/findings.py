"""From what was seen of the photos to what is wrong with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from outliers_bench.apps.clean.finding_kinds import Finding, Kind
from outliers_bench.apps.clean.image_stats import Look
from outliers_bench.apps.clean.listing import Listing, colliding, is_utf8
from outliers_bench.data.image_files import UNSUPPORTED
from outliers_bench.errors import BenchError


@dataclass(frozen=True)
class Limits:
    """From where on a photo is not wanted.

    Parameters
    ----------
    min_side : int
        Pixels that the shorter side must have.
    max_aspect : float
        Longer side divided by the shorter one, at most.
    min_contrast : float
        Largest difference of two pixels, of 255, that a picture must have when it is made small.

    Raises
    ------
    BenchError
        If one of them makes no sense.
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
    """A photo that can be decoded.

    Parameters
    ----------
    name : str
        Path relative to the root.
    label : str or None
        Its class folder.
    part : int
        Rank of its part; of copies in several parts that of the lowest is kept.
    digest : bytes
        Of its content.
    look : Look
    """

    name: str
    label: str | None
    part: int
    digest: bytes
    look: Look

    @property
    def order(self) -> tuple[int, int, str]:
        """The best of several copies is the first in this order: the largest, then by name."""
        return self.part, -self.look.width * self.look.height, self.name


def single_findings(
    listing: Listing, unreadable: Mapping[str, str], photos: Iterable[Photo], limits: Limits
) -> list[Finding]:
    """What is wrong with photos by themselves.

    Parameters
    ----------
    listing : Listing
    unreadable : mapping of str to str
        Path and reason.
    photos : iterable of Photo
    limits : Limits
    """
    found = [Finding(name, "unreadable", why) for name, why in unreadable.items()]
    for name in listing.unsupported:
        extension = next(end for end in UNSUPPORTED if name.lower().endswith(end))
        found.append(Finding(name, "unsupported", f"{extension} is not read; convert it to JPEG"))
    for photo in photos:
        look = photo.look
        low, high = sorted((look.width, look.height))
        if low < limits.min_side:
            found.append(Finding(photo.name, "tiny", f"{look.width} x {look.height} pixels"))
        if high > limits.max_aspect * low:
            found.append(
                Finding(photo.name, "aspect", f"{look.width} x {look.height}, {high / low:.1f} : 1")
            )
        if look.contrast < limits.min_contrast:
            detail = f"pixels differ by {look.contrast:.0f} of 255"
            found.append(Finding(photo.name, "blank", detail))
    return found


def name_findings(names: Sequence[str]) -> list[Finding]:
    """Names that are lost on other systems."""
    collisions = [
        Finding(name, "name", f"is {other} where case or accents do not matter", other)
        for name, other in colliding(names)
    ]
    unclear = [Finding(name, "name", "is not valid UTF-8") for name in names if not is_utf8(name)]
    return collisions + unclear


def lonely_findings(
    labels: Mapping[str, str | None], going: AbstractSet[str]
) -> tuple[list[Finding], list[str]]:
    """Labels of which one photo stays, and those of which none does.

    Parameters
    ----------
    labels : mapping of str to (str or None)
        Label by photo.
    going : set of str
        The photos that are to be moved.

    Returns
    -------
    findings : list of Finding
    empty : list of str
        Labels without any photo left.
    """
    staying = {name: label for name, label in labels.items() if name not in going}
    count = Counter(staying.values())
    found = [
        Finding(name, "lonely_label", f"the only photo of {label!r} that stays")
        for name, label in staying.items()
        if label is not None and count[label] == 1
    ]
    gone = {label for label in labels.values() if label is not None and not count[label]}
    return found, sorted(gone)


def going(findings: Iterable[Finding], kinds: AbstractSet[Kind]) -> set[str]:
    """The photos that are to be moved, for any of their findings."""
    return {finding.path for finding in findings if finding.kind in kinds}
