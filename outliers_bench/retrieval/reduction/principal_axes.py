"""Principal axes: the directions in which vectors vary most, exactly, in little memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from outliers_bench.retrieval.reduction.eigen import (
    Float64Array,
    fix_signs,
    leading_eigenvectors,
)
from outliers_bench.types import FloatArray

_BLOCK = 1024  # rows, or columns, in float64 at a time; more are no faster


def principal_axes(
    vectors: FloatArray | Float64Array, mean: FloatArray | Float64Array, n: int
) -> tuple[Float64Array, Float64Array]:
    """The n directions of largest variance, exactly.

    Eigenvectors of the smaller of covariance and Gram matrix, added up in float64, a block of the
    vectors at a time: beside the result, two or three such matrices are all the memory it takes.
    Neither a seed nor the order of solvers decides a ranking.

    Parameters
    ----------
    vectors : array of float32 or float64, shape (m, d)
    mean : array of float32 or float64, shape (d,)
        Of the vectors.
    n : int
        How many, at most min(m, d).

    Returns
    -------
    variances : array of float64, shape (n,)
        Falling; divided by m - 1.
    axes : array of float64, shape (d, n)
        Orthonormal columns. The largest entry of each is positive.
    """
    m, d = vectors.shape
    wide = m < d
    values, axes = leading_eigenvectors(_products(vectors, mean, wide=wide), n)
    values = np.maximum(values, 0.0)
    if wide:
        # X = U S V', so V = X' U / S; a direction without variance stays a zero column.
        lengths = np.sqrt(values)
        real = lengths > lengths.max() * np.sqrt(np.finfo(np.float64).eps)
        left, axes = axes, np.empty((d, n))
        for columns, block in _centered(vectors.T, mean[:, None]):
            np.matmul(block, left, out=axes[columns])
        axes /= np.where(real, lengths, 1.0)
        axes[:, ~real] = 0.0
    return values / max(m - 1, 1), fix_signs(axes)


def _products(
    vectors: FloatArray | Float64Array, mean: FloatArray | Float64Array, *, wide: bool
) -> Float64Array:
    """X' X of the centered vectors X, or where they are wide, X X'; the lower triangle only."""
    from scipy.linalg.blas import dsyrk

    side = len(vectors) if wide else vectors.shape[1]
    total: Float64Array = np.zeros((side, side), order="F")
    for _, block in _centered(vectors.T, mean[:, None]) if wide else _centered(vectors, mean[None]):
        total = dsyrk(1.0, block.T, beta=1.0, c=total, lower=1, overwrite_c=1)
    return total


def _centered(
    rows: FloatArray | Float64Array, mean: FloatArray | Float64Array
) -> Iterator[tuple[slice, Float64Array]]:
    """Some rows at a time, less their mean, in float64; good until the next ones are asked for."""
    buffer = np.empty((min(_BLOCK, len(rows)), rows.shape[1]))
    for start in range(0, len(rows), _BLOCK):
        some = slice(start, min(start + _BLOCK, len(rows)))
        block = buffer[: some.stop - start]
        center = mean if len(mean) == 1 else mean[some]
        yield some, np.subtract(rows[some], center, out=block, dtype=np.float64)
