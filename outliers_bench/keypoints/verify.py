"""Geometric verification of keypoint matches."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from outliers_bench.data.opencv import opencv
from outliers_bench.keypoints.options import Verify
from outliers_bench.types import BoolArray, FloatArray

Transform = npt.NDArray[np.float64]

# Number of matches that determine the geometry, so that they always agree with it.
MINIMUM = {Verify.homography: 4, Verify.affine: 3, Verify.similarity: 2}
MAX_TRIALS = 2000
CONFIDENCE = 0.995
MAX_SCALE = 10.0  # of lengths; a geometry that scales more is degenerate


def find_inliers(
    query_points: FloatArray, gallery_points: FloatArray, verify: Verify, threshold: float
) -> tuple[BoolArray, Transform | None]:
    """Find the geometry that most matches agree on, and its inliers.

    Homographies are estimated by MAGSAC++ (Barath et al., CVPR 2020), the others by RANSAC
    (Fischler and Bolles, 1981), with OpenCV's fixed seed: the same matches give the same result in
    any thread. The reprojection error of an inlier is at most `threshold`, and at an inlier the
    geometry neither mirrors nor scales by more than `MAX_SCALE`.

    Parameters
    ----------
    query_points, gallery_points : array of float32, shape (m, 2)
        Positions of matching keypoints.
    verify : Verify
        Any except none.
    threshold : float
        Maximum reprojection error in pixels of the gallery image.

    Returns
    -------
    is_inlier : array of bool, shape (m,)
        All False if there are fewer matches than the geometry needs, or if the inliers have fewer
        distinct positions than that.
    transform : array of float64, shape (3, 3), or None
        From query to gallery; None if there are no inliers.
    """
    no_inliers = np.zeros(len(query_points), dtype=bool)
    minimum = MINIMUM[verify]
    if len(query_points) < minimum:
        return no_inliers, None
    transform = _estimate(query_points, gallery_points, verify, threshold)
    if transform is None:
        return no_inliers, None
    is_inlier = _inlier_mask(query_points, gallery_points, transform, threshold)
    if is_inlier.sum() < minimum or any(
        len(np.unique(points[is_inlier], axis=0)) < minimum
        for points in (query_points, gallery_points)
    ):
        return no_inliers, None
    return is_inlier, transform


def _estimate(
    query_points: FloatArray, gallery_points: FloatArray, verify: Verify, threshold: float
) -> Transform | None:
    common: dict[str, Any] = {
        "ransacReprojThreshold": threshold,
        "maxIters": MAX_TRIALS,
        "confidence": CONFIDENCE,
    }
    cv2 = opencv()
    if verify is Verify.homography:
        result = cv2.findHomography(query_points, gallery_points, cv2.USAC_MAGSAC, **common)
    elif verify is Verify.affine:
        result = cv2.estimateAffine2D(query_points, gallery_points, **common)
    else:
        result = cv2.estimateAffinePartial2D(query_points, gallery_points, **common)
    if result[0] is None:
        return None
    transform = np.eye(3)
    transform[: len(result[0])] = result[0]  # two rows of an affine transform
    return transform


def _inlier_mask(
    query_points: FloatArray, gallery_points: FloatArray, transform: Transform, threshold: float
) -> BoolArray:
    # Comparisons of non-finite values are False, so they are not inliers.
    with np.errstate(all="ignore"):
        points = np.column_stack([query_points, np.ones(len(query_points))]) @ transform.T
        depth = points[:, 2]
        squared_errors = np.square(points[:, :2] / depth[:, None] - gallery_points).sum(axis=1)
        # Local scale of areas; negative if the plane is mirrored.
        area_scale = np.linalg.det(transform) / depth**3
    is_plausible = (area_scale >= MAX_SCALE**-2) & (area_scale <= MAX_SCALE**2)
    is_inlier: BoolArray = is_plausible & (squared_errors <= threshold**2)
    return is_inlier
