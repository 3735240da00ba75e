"""Principal axes of vectors, exact and with little memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from outliers_bench.retrieval.reduction.eigen import (
    Float64Array,
    fix_signs,
    leading_eigenvectors,
)
from outliers_bench.types import FloatArray

_BLOCK = 1024  # rows, or columns, converted to float64 per block; more are no faster


def principal_axes(
    vectors: FloatArray | Float64Array, mean: FloatArray | Float64Array, n: int
) -> tuple[Float64Array, Float64Array]:
    """Compute the n directions of largest variance, exactly.

    These are eigenvectors of the covariance or the Gram matrix, whichever is smaller, summed in
    float64 block by block. In addition to the result, memory for two or three such matrices is
    needed. The result does not depend on a seed or a choice of solver.

    Parameters
    ----------
    vectors : array of float32 or float64, shape (m, d)
    mean : array of float32 or float64, shape (d,)
        Mean of the vectors.
    n : int
        Number of directions, at most min(m, d).

    Returns
    -------
    variances : array of float64, shape (n,)
        In descending order; the divisor is m - 1.
    axes : array of float64, shape (d, n)
        Orthonormal columns. The largest entry of each is positive.
    """
    m, d = vectors.shape
    wide = m < d
    values, axes = leading_eigenvectors(_products(vectors, mean, wide=wide), n)
    values = np.maximum(values, 0.0)
    if wide:
        # X = U S V', so V = X' U / S; a direction without variance remains a zero column.
        lengths = np.sqrt(values)
        nonzero = lengths > lengths.max() * np.sqrt(np.finfo(np.float64).eps)
        left, axes = axes, np.empty((d, n))
        for columns, block in _centered(vectors.T, mean[:, None]):
            np.matmul(block, left, out=axes[columns])
        axes /= np.where(nonzero, lengths, 1.0)
        axes[:, ~nonzero] = 0.0
    return values / max(m - 1, 1), fix_signs(axes)


def _products(
    vectors: FloatArray | Float64Array, mean: FloatArray | Float64Array, *, wide: bool
) -> Float64Array:
    """Compute X' X of the centered vectors X, or X X' if `wide`; only the lower triangle."""
    from scipy.linalg.blas import dsyrk

    side = len(vectors) if wide else vectors.shape[1]
    total: Float64Array = np.zeros((side, side), order="F")
    for _, block in _centered(vectors.T, mean[:, None]) if wide else _centered(vectors, mean[None]):
        total = dsyrk(1.0, block.T, beta=1.0, c=total, lower=1, overwrite_c=1)
    return total


def _centered(
    rows: FloatArray | Float64Array, mean: FloatArray | Float64Array
) -> Iterator[tuple[slice, Float64Array]]:
    """Yield blocks of centered rows in float64; a block is overwritten by the next one."""
    buffer = np.empty((min(_BLOCK, len(rows)), rows.shape[1]))
    for start in range(0, len(rows), _BLOCK):
        part = slice(start, min(start + _BLOCK, len(rows)))
        block = buffer[: part.stop - start]
        center = mean if len(mean) == 1 else mean[part]
        yield part, np.subtract(rows[part], center, out=block, dtype=np.float64)
