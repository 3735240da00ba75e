"""Keypoint matching by the ratio test, of an image with one or many others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from outliers_bench.keypoints.options import MatchOptions
from outliers_bench.types import FloatArray, IntArray

GROUPS = 10  # groups of an image's keypoints whose highest similarities are compared first
STEPS = 4000  # integer steps per unit: products of such vectors fit the 24 bits of float32


def match_pair(
    query: FloatArray, gallery: FloatArray, *, options: MatchOptions, power: int
) -> tuple[IntArray, FloatArray]:
    """Match the keypoints of two images.

    A query keypoint matches its most similar gallery keypoint if their similarity is above 0, and
    clearly above that of the second most similar (Lowe, "Distinctive image features from
    scale-invariant keypoints", IJCV 2004): 1 - s1 < ratio ** power * (1 - s2). The second
    similarity is at least 0, that of unrelated keypoints, so one gallery keypoint suffices. With
    ratio 1 there is no test. If several query keypoints match the same gallery keypoint, only the
    most similar one remains. Of equally similar keypoints, the first is the nearest.

    Parameters
    ----------
    query : array of float32, shape (n_query, d)
        Unit vectors, from `Descriptor.vectors`.
    gallery : array of float32, shape (n_gallery, d)
    options : MatchOptions
        Only `ratio` and `cross_check` are used.
    power : int
        `Descriptor.power`; 1 also means binary descriptors.

    Returns
    -------
    pairs : array of int64, shape (m, 2)
        Query row and gallery row, sorted by query row.
    similarities : array of float32, shape (m,)
    """
    if not len(query) or not len(gallery):
        return np.empty((0, 2), dtype=np.int64), np.empty(0, dtype=np.float32)
    rows = stack([to_integers(gallery, power)])
    products = rows @ to_integers(query, power).T
    unit = self_product(query.shape[1], power)
    matches, _ = find_matches(products, options.ratio**power, unit, cross_check=options.cross_check)
    matches = matches.take(np.argsort(matches.query, kind="stable"))
    similarities = (matches.products / unit).astype(np.float32)
    return np.stack([matches.query, matches.gallery], axis=1), similarities


@dataclass(frozen=True, eq=False)
class Matches:
    """Matches of a query image with several others: four arrays of the same length."""

    image: IntArray
    query: IntArray
    gallery: IntArray
    products: FloatArray

    def take(self, rows: IntArray | npt.NDArray[np.bool_]) -> Matches:
        """Return the matches at the given rows, in that order."""
        return Matches(self.image[rows], self.query[rows], self.gallery[rows], self.products[rows])


def stack(images: Sequence[FloatArray]) -> FloatArray:
    """Stack the vectors of images, padded with zeros, which have similarity 0 with all others."""
    rows = padded_rows(max(map(len, images)))
    tile = np.zeros((len(images), rows, images[0].shape[1]), dtype=np.float32)
    for padded, vectors in zip(tile, images, strict=True):
        padded[: len(vectors)] = vectors
    return tile


def padded_rows(rows: int) -> int:
    """Round the number of an image's keypoints up to a multiple of `GROUPS`."""
    return -(-rows // GROUPS) * GROUPS


def to_integers(vectors: FloatArray, power: int) -> FloatArray:
    """Round vectors to integers, so that products are exact.

    The order of summation in BLAS depends on the row and on the processor. Exact sums do not
    depend on it: two copies of a photo in a gallery have the same score, on every machine.
    """
    return np.sign(vectors) if power == 1 else np.rint(vectors * np.float32(STEPS))


def self_product(dimensions: int, power: int) -> int:
    """Return the product of a vector with itself."""
    return dimensions if power == 1 else STEPS * STEPS


def find_matches(
    products: FloatArray, ratio: float, unit: int, *, cross_check: bool
) -> tuple[Matches, FloatArray]:
    """Find matches in products, shape (images, rows, n); also return the best, (images, n)."""
    best, second = _lower_bounds(products)
    # The actual second similarity is at least `second`, so most candidates are rejected here.
    image, query = np.nonzero((best > 0) & _passes_ratio_test(best, second, ratio, unit))
    columns = products[image, :, query]
    gallery = columns.argmax(axis=1)
    top = best[image, query]
    columns[np.arange(len(gallery)), gallery] = 0
    matches = Matches(image, query, gallery, top)
    matches = matches.take(_passes_ratio_test(top, columns.max(axis=1), ratio, unit))
    if cross_check:
        nearest = products[matches.image, matches.gallery].argmax(axis=1)
        return matches.take(nearest == matches.query), best
    order = np.lexsort((matches.query, -matches.products, matches.gallery, matches.image))
    matches = matches.take(order)
    is_first = np.ones(len(matches.image), dtype=bool)
    is_first[1:] = (np.diff(matches.image) != 0) | (np.diff(matches.gallery) != 0)
    return matches.take(is_first), best


def _lower_bounds(products: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Find the highest products over rows, and a lower bound of the second highest; at least 0."""
    images, rows, n = products.shape
    groups = products.reshape(images, GROUPS, rows // GROUPS, n).max(axis=2)
    best = np.maximum(groups[:, 0], 0)
    second = np.zeros_like(best)
    for group in range(1, GROUPS):
        second = np.maximum(second, np.minimum(best, groups[:, group]))
        best = np.maximum(best, groups[:, group])
    return best, second


def _passes_ratio_test(
    best: FloatArray, second: FloatArray, ratio: float, unit: int
) -> npt.NDArray[np.bool_]:
    """Apply Lowe's ratio test, in float64 to avoid rounding of products with a ratio like 0.8."""
    if ratio == 1:
        return np.ones(best.shape, dtype=bool)
    return (unit - best.astype(np.float64)) < ratio * (unit - second.astype(np.float64))
