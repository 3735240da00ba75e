"""Vectors of unit length: what makes Euclidean distance and inner product rank like cosine."""

from __future__ import annotations

import numpy as np

from outliers_bench.types import FloatArray


def l2_normalise(vectors: FloatArray) -> FloatArray:
    """Scale each row to unit Euclidean length; a zero row stays zero.

    Parameters
    ----------
    vectors : array of float32, shape (n, d)

    Returns
    -------
    array of float32, shape (n, d)
        A new array.
    """
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: FloatArray = np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > 0)
    return scaled
