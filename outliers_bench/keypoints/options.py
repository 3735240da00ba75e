"""Options of keypoint detection and matching."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from outliers_bench.errors import BenchError
from outliers_bench.keypoints.keypoints import DESCRIPTORS, Descriptor

MAX_KEYPOINTS = 10_000
MAX_SIDE = 2048  # pixels; SIFT's pyramid takes 240 bytes per pixel, in each thread


class Detector(Enum):
    """Keypoint detector and descriptor."""

    sift = "sift"
    orb = "orb"
    akaze = "akaze"


class Verify(Enum):
    """Geometric model for verification; a homography is the most general, a similarity least."""

    none = "none"
    homography = "homography"
    affine = "affine"
    similarity = "similarity"


@dataclass
class KeypointOptions:
    """Options of keypoint detection.

    Parameters
    ----------
    detector : Detector
        SIFT (Lowe 2004), ORB (Rublee et al. 2011) or AKAZE (Alcantarilla et al. 2013).
    rootsift : bool
        Whether to compare SIFT descriptors as RootSIFT; without effect on other detectors.
    max_keypoints : int
        Maximum number of keypoints per image, the strongest ones.
    longest_side : int
        Longest side in pixels that larger images are shrunk to; smaller ones are not enlarged.
    """

    detector: Detector = Detector.sift
    rootsift: bool = True
    max_keypoints: int = 500
    longest_side: int = 640

    @property
    def descriptor(self) -> Descriptor:
        """Type of descriptor."""
        root = self.rootsift and self.detector is Detector.sift
        return DESCRIPTORS["rootsift" if root else self.detector.value]

    def check_keypoints(self, group: str) -> None:
        """Raise `BenchError` for invalid values; `group` is the config group of the options."""
        for name, value, maximum in (
            ("max_keypoints", self.max_keypoints, MAX_KEYPOINTS),
            ("longest_side", self.longest_side, MAX_SIDE),
        ):
            if not 1 <= value <= maximum:
                raise BenchError(f"{group}.{name}={value}: from 1 to {maximum:,}")


@dataclass
class MatchOptions:
    """Options of keypoint matching and verification.

    Parameters
    ----------
    ratio : float
        Lowe's ratio test: maximum ratio of the distances to the nearest and the second nearest
        descriptor; 1 disables the test.
    cross_check : bool
        Whether matches must be mutual nearest neighbors.
    verify : Verify
        Geometric model that matches must agree on; the score is the number of inliers.
    reproj_threshold : float
        Maximum reprojection error of an inlier, in pixels.
    min_inliers : int
        Minimum number of inliers; fewer count as none, since any two images have some by chance.
    shortlist : int or None
        Number of images per query that are verified, those with the most matches; null: all.
    """

    ratio: float = 0.8
    cross_check: bool = False
    verify: Verify = Verify.homography
    reproj_threshold: float = 5.0
    min_inliers: int = 6
    shortlist: int | None = 100

    def check_matching(self, group: str) -> None:
        """Raise `BenchError` for invalid values; `group` is the config group of the options."""
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
