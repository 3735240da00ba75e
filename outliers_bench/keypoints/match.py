"""Which keypoints of two images match: the ratio test, for one image or many at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from outliers_bench.keypoints.options import MatchOptions
from outliers_bench.types import FloatArray, IntArray

GROUPS = 10  # parts of an image whose best similarities are compared first
STEPS = 4000  # to a unit: products of vectors rounded to that fit the 24 bits of float32


def match_pair(
    query: FloatArray, gallery: FloatArray, *, options: MatchOptions, power: int
) -> tuple[IntArray, FloatArray]:
    """Match the keypoints of two images.

    A query keypoint matches its most similar gallery keypoint if their similarity is above 0, and
    clearly above that of the second most similar (Lowe, "Distinctive image features from
    scale-invariant keypoints", IJCV 2004): 1 - s1 < ratio ** power * (1 - s2). An unrelated
    keypoint, s = 0, always stands by as second, so one gallery keypoint suffices. With ratio 1
    nothing is asked of the second. Of several query keypoints that match the same gallery keypoint
    only the most similar stays. Of equally similar keypoints the first is the nearest.

    Parameters
    ----------
    query : array of float32, shape (n_query, d)
        Unit vectors, from `Descriptor.vectors`.
    gallery : array of float32, shape (n_gallery, d)
    options : MatchOptions
        `ratio` and `cross_check` are looked at.
    power : int
        `Descriptor.power`; 1 stands for vectors of bits, too.

    Returns
    -------
    pairs : array of int64, shape (m, 2)
        Query row and gallery row, sorted by query row.
    similarities : array of float32, shape (m,)
    """
    if not len(query) or not len(gallery):
        return np.empty((0, 2), dtype=np.int64), np.empty(0, dtype=np.float32)
    rows = stacked([whole(gallery, power)])
    products = rows @ whole(query, power).T
    unit = self_product(query.shape[1], power)
    found, _ = find_matches(products, options.ratio**power, unit, cross_check=options.cross_check)
    found = found.take(np.argsort(found.query, kind="stable"))
    similarities = (found.products / unit).astype(np.float32)
    return np.stack([found.query, found.gallery], axis=1), similarities


@dataclass(frozen=True, eq=False)
class Matches:
    """Matches of one query image with several others: four arrays of one length."""

    image: IntArray
    query: IntArray
    gallery: IntArray
    products: FloatArray

    def take(self, rows: IntArray | npt.NDArray[np.bool_]) -> Matches:
        """Some of them, in the order of `rows`."""
        return Matches(self.image[rows], self.query[rows], self.gallery[rows], self.products[rows])


def stacked(images: Sequence[FloatArray]) -> FloatArray:
    """The vectors of all images as one array; zeros, which are like nothing, fill it up."""
    rows = padded(max(map(len, images)))
    tile = np.zeros((len(images), rows, images[0].shape[1]), dtype=np.float32)
    for filled, vectors in zip(tile, images, strict=True):
        filled[: len(vectors)] = vectors
    return tile


def padded(rows: int) -> int:
    """Rows that an image of so many keypoints takes in a stack: a multiple of `GROUPS`."""
    return -(-rows // GROUPS) * GROUPS


def whole(vectors: FloatArray, power: int) -> FloatArray:
    """Vectors in whole numbers, so that products are exact.

    BLAS adds up in an order that depends on where a row stands and on the processor. Exact sums
    do not: the same photo twice in a gallery scores the same, on every machine.
    """
    return np.sign(vectors) if power == 1 else np.rint(vectors * np.float32(STEPS))


def self_product(dimensions: int, power: int) -> int:
    """The product of a vector with itself."""
    return dimensions if power == 1 else STEPS * STEPS


def find_matches(
    products: FloatArray, ratio: float, unit: int, *, cross_check: bool
) -> tuple[Matches, FloatArray]:
    """Matches given all products, shape (images, rows, n), and the best, shape (images, n)."""
    best, second = _lower_bounds(products)
    # The true second is at least that; so few are left that the rest need not be fast.
    image, query = np.nonzero((best > 0) & _clear(best, second, ratio, unit))
    columns = products[image, :, query]
    gallery = columns.argmax(axis=1)
    top = best[image, query]
    columns[np.arange(len(gallery)), gallery] = 0
    found = Matches(image, query, gallery, top)
    found = found.take(_clear(top, columns.max(axis=1), ratio, unit))
    if cross_check:
        nearest = products[found.image, found.gallery].argmax(axis=1)
        return found.take(nearest == found.query), best
    found = found.take(np.lexsort((found.query, -found.products, found.gallery, found.image)))
    first = np.ones(len(found.image), dtype=bool)
    first[1:] = (np.diff(found.image) != 0) | (np.diff(found.gallery) != 0)
    return found.take(first), best


def _lower_bounds(products: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The highest products over rows, and something not above the second highest; 0 at least."""
    images, rows, n = products.shape
    groups = products.reshape(images, GROUPS, rows // GROUPS, n).max(axis=2)
    best = np.maximum(groups[:, 0], 0)
    second = np.zeros_like(best)
    for group in range(1, GROUPS):
        second = np.maximum(second, np.minimum(best, groups[:, group]))
        best = np.maximum(best, groups[:, group])
    return best, second


def _clear(best: FloatArray, second: FloatArray, ratio: float, unit: int) -> npt.NDArray[np.bool_]:
    """Lowe's test. In float64, where whole numbers times a ratio like 0.8 compare as on paper."""
    if ratio == 1:
        return np.ones(best.shape, dtype=bool)
    return (unit - best.astype(np.float64)) < ratio * (unit - second.astype(np.float64))
