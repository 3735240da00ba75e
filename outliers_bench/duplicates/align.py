"""Align two images and measure their agreement."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from outliers_bench.data.opencv import opencv
from outliers_bench.duplicates.thumbnails import Gray
from outliers_bench.types import BoolArray, FloatArray

_TILES = 4  # per side
_MIN_OVERLAP = 0.5  # share of the image that both images must cover
_FLAT = 4.0  # standard deviation, of 255, below which a tile is not informative
_MIN_TILE_OVERLAP = 0.2  # share of a tile that both images must cover
_MAX_SHEAR = 0.1  # a rotation of more than 6 degrees makes another image
_DETAIL_SCALE = 3 / 128  # of the side; anything smaller is detail


class Agreement(NamedTuple):
    """Agreement of two images in their overlap; at most 1."""

    # Correlation of the detail, finer than a few pixels; independent of lighting and layout.
    detail: float
    # Correlation that four fifths of the tiles in a 4 by 4 grid reach; low if a part was replaced.
    tiles: float


NO_AGREEMENT = Agreement(0.0, 0.0)


def measure_agreement(
    part: Gray, whole: Gray, crop: float, *, steps: int, tiles: bool = True
) -> Agreement:
    """Align one image with another and measure their agreement.

    Shift, scale, and shear are found by maximizing the enhanced correlation coefficient
    (Evangelidis and Psarakis, 2008), which is invariant to brightness and contrast.

    Parameters
    ----------
    part, whole : array of uint8, shape (side, side)
        `part` may show a crop of `whole`.
    crop : float
        Initial share of the sides of `whole`, centered.
    steps : int
        Maximum number of iterations.
    tiles : bool
        Whether to compare tiles too; `Agreement.tiles` is 0 otherwise.
    """
    cv2 = opencv()
    side = len(part)
    one, other = part.astype(np.float32), whole.astype(np.float32)
    start = (1 - crop) / 2 * (side - 1)
    warp = np.array([[crop, 0, start], [0, crop, start]], np.float32)
    blur = 5 if side > 64 else 3
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, steps, 1e-4)
    try:
        _, warp = cv2.findTransformECC(one, other, warp, cv2.MOTION_AFFINE, criteria, None, blur)
    except cv2.error:  # no convergence: the images have nothing in common
        return NO_AGREEMENT
    if max(abs(warp[0, 1]), abs(warp[1, 0])) > _MAX_SHEAR:
        return NO_AGREEMENT
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    aligned = cv2.warpAffine(other, warp, (side, side), flags=flags)
    coverage = cv2.warpAffine(np.ones_like(other), warp, (side, side), flags=flags)
    sigma = max(1.2, _DETAIL_SCALE * side)
    common = _erode(coverage > 0.99, round(sigma))
    if common.mean() < _MIN_OVERLAP:
        return NO_AGREEMENT
    one_detail, aligned_detail = (
        each - cv2.GaussianBlur(each, (0, 0), sigma) for each in (one, aligned)
    )
    detail = _correlation(one_detail, aligned_detail, common)
    return Agreement(detail, _tile_correlation(one, aligned, common) if tiles else 0.0)


def _erode(mask: BoolArray, edge: int) -> BoolArray:
    """Shrink a mask by its edge, where the blur includes pixels of one image only."""
    cv2: Any = opencv()
    square = np.ones((2 * edge + 1, 2 * edge + 1), np.uint8)
    padded = cv2.copyMakeBorder(mask.astype(np.uint8), *[edge] * 4, cv2.BORDER_CONSTANT, value=0)
    inner: BoolArray = cv2.erode(padded, square)[edge:-edge, edge:-edge] > 0
    return inner


def _tile_correlation(one: FloatArray, other: FloatArray, common: BoolArray) -> float:
    """Return the correlation that four fifths of the tiles reach; 1 without informative tiles."""
    step = len(one) // _TILES
    # Sums over all tiles at once, in float64: float32 is too imprecise for squares.
    mask = common.astype(np.float64)
    a, b = one * mask, other * mask
    n, sum_a, sum_b, sum_aa, sum_bb, sum_ab = (
        each.reshape(_TILES, step, _TILES, step).sum(axis=(1, 3))
        for each in (mask, a, b, a * a, b * b, a * b)
    )
    n = np.maximum(n, 1)
    variance_a, variance_b = sum_aa / n - (sum_a / n) ** 2, sum_bb / n - (sum_b / n) ** 2
    covariance = sum_ab / n - sum_a / n * sum_b / n
    informative = (n >= _MIN_TILE_OVERLAP * step * step) & (
        np.maximum(variance_a, variance_b) >= _FLAT**2
    )
    if not informative.any():
        return 1.0
    product = np.maximum((variance_a * variance_b)[informative], 1e-9)
    return float(np.percentile(covariance[informative] / np.sqrt(product), 20))


def _correlation(one: FloatArray, other: FloatArray, mask: BoolArray) -> float:
    a, b = one[mask], other[mask]
    a, b = a - a.mean(), b - b.mean()
    return float((a * b).sum() / np.sqrt(max(float((a * a).sum() * (b * b).sum()), 1e-9)))
