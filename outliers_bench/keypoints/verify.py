"""Which matches agree on one geometry."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from outliers_bench.data.opencv import opencv
from outliers_bench.keypoints.options import Verify
from outliers_bench.types import BoolArray, FloatArray

Transform = npt.NDArray[np.float64]

# Matches that determine the geometry: these always agree.
MINIMUM = {Verify.homography: 4, Verify.affine: 3, Verify.similarity: 2}
MOST_TRIALS = 2000
CONFIDENCE = 0.995
LARGEST_SCALE = 10.0  # lengths; a geometry that shrinks or grows things more has collapsed


def inliers(
    query_points: FloatArray, gallery_points: FloatArray, verify: Verify, threshold: float
) -> tuple[BoolArray, Transform | None]:
    """Find the geometry that most matches agree on, and those that do.

    Homographies come from MAGSAC++ (Barath et al., CVPR 2020), the others from RANSAC (Fischler
    and Bolles, 1981), all with OpenCV's fixed seed: the same matches give the same answer, in any
    thread. An agreeing match misses its place by `threshold` at most, and around it the geometry
    neither mirrors nor scales by more than `LARGEST_SCALE`.

    Parameters
    ----------
    query_points, gallery_points : array of float32, shape (m, 2)
        Where matching keypoints are.
    verify : Verify
        Anything but none.
    threshold : float
        Pixels of the gallery image.

    Returns
    -------
    agree : array of bool, shape (m,)
        All False where there are fewer matches than the geometry needs, or where those that agree
        lie on fewer different places than that.
    transform : array of float64, shape (3, 3) or (2, 3), or None
        From query to gallery; None where no match agrees.
    """
    nothing = np.zeros(len(query_points), dtype=bool)
    minimum = MINIMUM[verify]
    if len(query_points) < minimum:
        return nothing, None
    transform = _estimate(query_points, gallery_points, verify, threshold)
    if transform is None:
        return nothing, None
    agree = _agree(query_points, gallery_points, transform, threshold)
    if agree.sum() < minimum or any(
        len(np.unique(points[agree], axis=0)) < minimum for points in (query_points, gallery_points)
    ):
        return nothing, None
    return agree, transform


def _estimate(
    query_points: FloatArray, gallery_points: FloatArray, verify: Verify, threshold: float
) -> Transform | None:
    common: dict[str, Any] = {
        "ransacReprojThreshold": threshold,
        "maxIters": MOST_TRIALS,
        "confidence": CONFIDENCE,
    }
    cv2 = opencv()
    if verify is Verify.homography:
        found = cv2.findHomography(query_points, gallery_points, cv2.USAC_MAGSAC, **common)
    elif verify is Verify.affine:
        found = cv2.estimateAffine2D(query_points, gallery_points, **common)
    else:
        found = cv2.estimateAffinePartial2D(query_points, gallery_points, **common)
    transform: Transform | None = found[0]
    return transform


def _agree(
    query_points: FloatArray, gallery_points: FloatArray, transform: Transform, threshold: float
) -> BoolArray:
    matrix = np.eye(3)
    matrix[: len(transform)] = transform
    # Of what is not finite every comparison is false: nothing agrees.
    with np.errstate(all="ignore"):
        points = np.column_stack([query_points, np.ones(len(query_points))]) @ matrix.T
        depth = points[:, 2]
        misses = np.square(points[:, :2] / depth[:, None] - gallery_points).sum(axis=1)
        # By how much areas grow there; below 0 where the other side of the plane would be seen.
        area = np.linalg.det(matrix) / depth**3
    upright = (area >= LARGEST_SCALE**-2) & (area <= LARGEST_SCALE**2)
    agree: BoolArray = upright & (misses <= threshold**2)
    return agree
