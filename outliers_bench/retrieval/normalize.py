"""L2 normalization, after which Euclidean distance and inner product rank like cosine."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from outliers_bench.types import FloatArray, IntArray

_BLOCK_VALUES = 1 << 18  # values scaled per block: temporaries stay in the processor's cache


@dataclass
class L2:
    """Scaling of vectors to unit length; the cosine always scales them at the end.

    Parameters
    ----------
    before_reduction : bool
        Before the reduction.
    after_reduction : bool
        After the reduction, which matters for Euclidean distances and inner products.
    """

    before_reduction: bool = False
    after_reduction: bool = False


def l2_normalize(vectors: FloatArray, *, order: IntArray | None = None) -> FloatArray:
    """Scale each row to unit Euclidean length; a zero row stays zero.

    Parameters
    ----------
    vectors : array of float32, shape (n, d)
    order : array of int64, shape (m,), optional
        Rows to select, in this order; None selects all rows.

    Returns
    -------
    array of float32, shape (n, d) or (m, d)
        A new array, the only one of that size that is allocated.
    """
    count = len(vectors) if order is None else len(order)
    scaled: FloatArray = np.empty((count, vectors.shape[1]), dtype=vectors.dtype)
    size = max(1, _BLOCK_VALUES // max(1, vectors.shape[1]))
    for start in range(0, count, size):
        rows = slice(start, start + size)
        block = np.ascontiguousarray(vectors[rows if order is None else order[rows]])
        norms = np.linalg.norm(block, axis=1, keepdims=True)
        zero = ~(norms > 0)[:, 0]
        norms[zero] = 1
        np.divide(block, norms, out=scaled[rows])
        scaled[rows][zero] = 0
    return scaled
