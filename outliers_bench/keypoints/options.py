"""What can be chosen about keypoints, wherever they are used."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from outliers_bench.errors import BenchError
from outliers_bench.keypoints.keypoints import DESCRIPTORS, Descriptor

MOST_KEYPOINTS = 10_000
LARGEST_SIDE = 2048  # pixels; SIFT's pyramid takes 240 bytes a pixel, in each thread


class Detector(Enum):
    """What finds and describes keypoints."""

    sift = "sift"
    orb = "orb"
    akaze = "akaze"


class Verify(Enum):
    """Which geometry must agree: none, or a plane's in perspective, sheared, or only turned."""

    none = "none"
    homography = "homography"
    affine = "affine"
    similarity = "similarity"


@dataclass
class KeypointOptions:
    """Which keypoints an image has.

    Parameters
    ----------
    detector : Detector
        SIFT (Lowe 2004), ORB (Rublee et al. 2011) or AKAZE (Alcantarilla et al. 2013).
    rootsift : bool
        Whether SIFT descriptors are compared as RootSIFT; without effect on the others.
    max_keypoints : int
        The strongest of an image that are kept.
    longest_side : int
        Larger images are shrunk to this many pixels; smaller ones stay as they are.
    """

    detector: Detector = Detector.sift
    rootsift: bool = True
    max_keypoints: int = 500
    longest_side: int = 640

    @property
    def descriptor(self) -> Descriptor:
        """The kind of descriptor."""
        root = self.rootsift and self.detector is Detector.sift
        return DESCRIPTORS["rootsift" if root else self.detector.value]

    def check_keypoints(self, group: str) -> None:
        """Raise `BenchError` for numbers that cannot work; `group` is where the options stand."""
        for name, value, most in (
            ("max_keypoints", self.max_keypoints, MOST_KEYPOINTS),
            ("longest_side", self.longest_side, LARGEST_SIDE),
        ):
            if not 1 <= value <= most:
                raise BenchError(f"{group}.{name}={value}: from 1 to {most:,}")


@dataclass
class MatchOptions:
    """When two images' keypoints match, and how that orders a gallery.

    Parameters
    ----------
    ratio : float
        Lowe's ratio test: the nearest descriptor must be closer than this share of the second
        nearest's distance; 1 lets every nearest one pass.
    cross_check : bool
        Whether the match must also be the nearest one seen from the other image.
    verify : Verify
        The geometry that matches must agree on; the score is the number that do.
    reproj_threshold : float
        Pixels by which an agreeing match may miss its place.
    min_inliers : int
        Fewer agreeing matches than this count as none: chance finds some in any two images.
    shortlist : int or None
        How many images, those with the most matches, are verified; null: all.
    """

    ratio: float = 0.8
    cross_check: bool = False
    verify: Verify = Verify.homography
    reproj_threshold: float = 5.0
    min_inliers: int = 6
    shortlist: int | None = 100

    def check_matching(self, group: str) -> None:
        """Raise `BenchError` for numbers that cannot work; `group` is where the options stand."""
        if not 0 < self.ratio <= 1:
            raise BenchError(f"{group}.ratio={self.ratio}: more than 0 and at most 1")
        if not 0 < self.reproj_threshold < float("inf"):
            raise BenchError(
                f"{group}.reproj_threshold={self.reproj_threshold}: a number of pixels above 0"
            )
        if self.min_inliers < 0:
            raise BenchError(f"{group}.min_inliers={self.min_inliers}: 0 or more")
        if self.shortlist is not None and self.shortlist < 1:
            raise BenchError(f"{group}.shortlist={self.shortlist}: at least 1, or null for all")
