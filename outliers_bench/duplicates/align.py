"""Whether two pictures are one: laid over each other as well as can be, then compared."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from outliers_bench.data.opencv import opencv
from outliers_bench.duplicates.thumbnails import Gray
from outliers_bench.types import BoolArray, FloatArray

_TILES = 4  # a side
_LEAST_COMMON = 0.5  # share of the picture that must be on both
_FLAT = 4.0  # standard deviation, of 255, below which a tile says nothing
_LEAST_SEEN = 0.2  # share of a tile that must be on both
_SHEAR = 0.1  # what is turned by more than 6 degrees is another picture
_FINE = 3 / 128  # of the side: what is smaller is detail


class Agreement(NamedTuple):
    """How well two pictures agree where both have something, each to 1.

    Parameters
    ----------
    detail : float
        Correlation of what is finer than a few pixels: light and layout do not count.
    tiles : float
        Correlation that four fifths of the tiles of a grid of 4 by 4 reach: a picture of which a
        part has been exchanged falls short.
    """

    detail: float
    tiles: float


NONE = Agreement(0.0, 0.0)


def agreement(part: Gray, whole: Gray, crop: float, *, steps: int, tiles: bool = True) -> Agreement:
    """Lay one picture over another and compare.

    Shift, scale and shear are found by maximizing the enhanced correlation coefficient
    (Evangelidis and Psarakis, 2008), which light and contrast leave as it is.

    Parameters
    ----------
    part, whole : array of uint8, shape (side, side)
        `part` may show a crop of `whole`.
    crop : float
        Share of the sides of `whole` to begin with, in its middle.
    steps : int
        Of the search, at most.
    tiles : bool
        Whether to compare tile by tile too; 0 otherwise.
    """
    cv2 = opencv()
    side = len(part)
    one, other = part.astype(np.float32), whole.astype(np.float32)
    start = (1 - crop) / 2 * (side - 1)
    warp = np.array([[crop, 0, start], [0, crop, start]], np.float32)
    blur = 5 if side > 64 else 3
    ends = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, steps, 1e-4)
    try:
        _, warp = cv2.findTransformECC(one, other, warp, cv2.MOTION_AFFINE, ends, None, blur)
    except cv2.error:  # it does not converge: they have nothing in common
        return NONE
    if max(abs(warp[0, 1]), abs(warp[1, 0])) > _SHEAR:
        return NONE
    back = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    laid = cv2.warpAffine(other, warp, (side, side), flags=back)
    there = cv2.warpAffine(np.ones_like(other), warp, (side, side), flags=back)
    sigma = max(1.2, _FINE * side)
    common = _inside(there > 0.99, round(sigma))
    if common.mean() < _LEAST_COMMON:
        return NONE
    fine, laid_fine = (each - cv2.GaussianBlur(each, (0, 0), sigma) for each in (one, laid))
    detail = _correlation(fine, laid_fine, common)
    return Agreement(detail, _tiles(one, laid, common) if tiles else 0.0)


def _inside(mask: BoolArray, edge: int) -> BoolArray:
    """A mask without its edge, where the blur sees what is on one picture only."""
    cv2: Any = opencv()
    square = np.ones((2 * edge + 1, 2 * edge + 1), np.uint8)
    held = cv2.copyMakeBorder(mask.astype(np.uint8), *[edge] * 4, cv2.BORDER_CONSTANT, value=0)
    inner: BoolArray = cv2.erode(held, square)[edge:-edge, edge:-edge] > 0
    return inner


def _tiles(one: FloatArray, other: FloatArray, common: BoolArray) -> float:
    """The correlation that four fifths of the tiles reach; 1 where none says anything."""
    step = len(one) // _TILES
    # Sums of each tile at once; of squares, which float32 would blur.
    mask = common.astype(np.float64)
    a, b = one * mask, other * mask
    n, sum_a, sum_b, sum_aa, sum_bb, sum_ab = (
        each.reshape(_TILES, step, _TILES, step).sum(axis=(1, 3))
        for each in (mask, a, b, a * a, b * b, a * b)
    )
    n = np.maximum(n, 1)
    spread_a, spread_b = sum_aa / n - (sum_a / n) ** 2, sum_bb / n - (sum_b / n) ** 2
    together = sum_ab / n - sum_a / n * sum_b / n
    known = (n >= _LEAST_SEEN * step * step) & (np.maximum(spread_a, spread_b) >= _FLAT**2)
    if not known.any():
        return 1.0
    product = np.maximum((spread_a * spread_b)[known], 1e-9)
    return float(np.percentile(together[known] / np.sqrt(product), 20))


def _correlation(one: FloatArray, other: FloatArray, mask: BoolArray) -> float:
    a, b = one[mask], other[mask]
    a, b = a - a.mean(), b - b.mean()
    return float((a * b).sum() / np.sqrt(max(float((a * a).sum() * (b * b).sum()), 1e-9)))
