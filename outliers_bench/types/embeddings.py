"""Embeddings of images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from outliers_bench.errors import BenchError
from outliers_bench.types.arrays import BoolArray, FloatArray, IntArray
from outliers_bench.types.images import ImageSet


@dataclass(frozen=True, eq=False)
class Embeddings:
    """One vector per image.

    Parameters
    ----------
    images : ImageSet
        The images.
    matrix : array of float32, shape (n, d)
        Rows in the order of `images`.
    blank : frozenset of bytes
        Digests of images without any content to compare, such as keypoints; they rank last.
    partly_blank : frozenset of bytes
        Digests of images that are blank to a member of an ensemble; they are only counted.

    Raises
    ------
    BenchError
        If there is another number of rows than of images, or a value is not finite.
    """

    images: ImageSet
    matrix: FloatArray
    blank: frozenset[bytes] = frozenset()
    partly_blank: frozenset[bytes] = frozenset()

    def __post_init__(self) -> None:
        if self.matrix.ndim != 2 or len(self.matrix) != len(self.images):
            raise BenchError(
                f"embeddings of shape {self.matrix.shape} for {len(self.images)} images"
            )
        # The sum needs no second matrix; only that of a matrix of float64 can overflow.
        with np.errstate(invalid="ignore", over="ignore"):
            finite = np.isfinite(self.matrix.sum(dtype=np.float64))
        if not finite and (wrong := np.flatnonzero(~np.isfinite(self.matrix).all(axis=1))).size:
            raise BenchError(
                f"{wrong.size:,} of {len(self):,} embeddings are not finite, that of "
                f"{self.images.names[wrong[0]]} first; use other weights, or engine.precision=f32"
            )

    def __len__(self) -> int:
        return len(self.matrix)

    @property
    def is_blank(self) -> BoolArray:
        """True for each image without content, shape (n,)."""
        return np.array([digest in self.blank for digest in self.images.digests], dtype=np.bool_)

    def rows(self, images: ImageSet) -> IntArray:
        """Return the row of each image, found by content; -1 without a vector."""
        row_of = {digest: row for row, digest in enumerate(self.images.digests)}
        return np.array([row_of.get(digest, -1) for digest in images.digests], dtype=np.int64)
