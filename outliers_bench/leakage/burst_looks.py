"""Looks of photos that may be of one burst, compared by thumbnails."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from outliers_bench.types import ImageSet, IntArray

Similarity = npt.NDArray[np.float64]
_TILES = 8  # per side: the blur
_PAIRS = 500  # compared at most, of each kind
_MIN_PAIRS = 20  # that can be compared, of each kind
_MIN_AUC = (
    0.75  # 0.50 for photos of kinds from a web search, 0.67 for two studios, 0.89 for encounters
)
_ERRORS = 4  # standard errors above 0.5 that it must be at least, if there are few pairs


def compare_looks(images: ImageSet, pairs: IntArray, *, cache: Path) -> Similarity:
    """Return the correlation of two thumbnails, blurred; NaN if one is too flat or too small.

    Parameters
    ----------
    images : ImageSet
        Images whose thumbnails the audit has made.
    pairs : array of int64, shape (n, 2)
        Rows of `images`.
    cache : Path
        Cache directory.

    Returns
    -------
    array of float64, shape (n,)
    """
    from outliers_bench.duplicates.thumbnails import SIDE, load_or_make_thumbnails

    rows, at = np.unique(pairs, return_inverse=True)
    small = load_or_make_thumbnails(images.take(rows.tolist()), cache)
    tile = SIDE // _TILES
    n = len(small.gray)
    means = small.gray.reshape(n, _TILES, tile, _TILES, tile).mean(axis=(2, 4))
    vectors = np.full((len(rows), _TILES * _TILES), np.nan)
    vectors[small.rows] = means.reshape(n, _TILES * _TILES)
    vectors -= vectors.mean(axis=1, keepdims=True)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)
    one, other = at.reshape(-1, 2).T
    similarity: Similarity = (vectors[one] * vectors[other]).sum(axis=1)
    return similarity


def look_alike(near: Similarity, far: Similarity) -> bool:
    """Check whether pairs that may be of one burst are more alike than other pairs of a label.

    The measure is the chance that a pair of the first kind is more alike than one of the second:
    the area under the ROC curve, or Mann and Whitney's U divided by the number of comparisons.

    Parameters
    ----------
    near, far : array of float64, shapes (n,) and (m,)
        Similarities; NaN where unknown.
    """
    near, far = (np.sort(values[~np.isnan(values)]) for values in (near, far))
    if min(len(near), len(far)) < _MIN_PAIRS:
        return False
    n, m = len(near), len(far)
    below = [far.searchsorted(near, side).mean() / m for side in ("left", "right")]
    by_chance = 0.5 + _ERRORS * np.sqrt((n + m + 1) / (12 * n * m))
    return bool(np.mean(below) >= max(_MIN_AUC, by_chance))


def sample_pairs(pairs: IntArray) -> IntArray:
    """Return up to 500 of the pairs, shape (n, 2), the same ones each time."""
    if len(pairs) <= _PAIRS:
        return pairs
    rows = np.random.default_rng(0).choice(len(pairs), _PAIRS, replace=False)
    return pairs[np.sort(rows)]


def random_pairs_of_labels(labels: IntArray) -> IntArray:
    """Return random pairs of different rows with the same label, shape (n, 2), seeded."""
    random = np.random.default_rng(0)
    order = np.argsort(labels, kind="stable")
    _, first, sizes = np.unique(labels[order], return_index=True, return_counts=True)
    position = random.permutation(np.repeat(np.arange(len(sizes)), sizes * (sizes > 1)))
    position = np.resize(position, 4 * _PAIRS) if len(position) else position
    one = random.integers(sizes[position])
    other = (one + random.integers(1, np.maximum(sizes[position], 2))) % sizes[position]
    start = first[position]
    return np.column_stack([order[start + one], order[start + other]]).astype(np.int64)
