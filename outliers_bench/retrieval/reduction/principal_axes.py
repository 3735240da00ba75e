"""Principal axes of vectors, and leading eigenvectors: exact, deterministic, little memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from outliers_bench.types import FloatArray

Float64Array: TypeAlias = npt.NDArray[np.float64]

_BLOCK = 1024  # rows, or columns, converted to float64 per block; more are no faster
# Matrix size up to which eigh runs in one thread. It is mostly limited by memory, so a second
# thread gains little, and if another process occupies a core, it is several times slower (2,048:
# 30 s instead of 6 s), since BLAS threads wait for the slowest.
_SINGLE_THREAD_SIZE = 4096


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


def leading_eigenvectors(
    square: Float64Array, n: int, metric: Float64Array | None = None
) -> tuple[Float64Array, Float64Array]:
    """Compute the n largest eigenvalues and their vectors: square @ v = value * metric @ v.

    Computing all takes less time than computing half of them: on one core 0.3 s at 1,024, where
    500 take 0.4 s and 100 take 0.2 s; 4.0 s at 2,560, where 1,000 take 5.8 s, 500 take 2.9 s,
    100 take 2.0 s.

    Parameters
    ----------
    square : array of float64, shape (d, d)
        Symmetric, only the lower triangle is used; overwritten.
    n : int
        Number of eigenvalues, at most d.
    metric : array of float64, shape (d, d), or None
        Symmetric and positive definite; overwritten. None: the identity.

    Returns
    -------
    values : array of float64, shape (n,)
        In descending order.
    vectors : array of float64, shape (d, n)
        Columns v with v' @ metric @ v = 1.
    """
    from scipy.linalg import eigh
    from threadpoolctl import threadpool_limits

    size = len(square)
    with threadpool_limits(1 if size <= _SINGLE_THREAD_SIZE else None):
        values, vectors = eigh(
            square,
            metric,
            subset_by_index=None if n == size else [size - n, size - 1],
            overwrite_a=True,
            overwrite_b=True,
            check_finite=False,
        )
    return values[::-1], vectors[:, ::-1]


def fix_signs(axes: Float64Array) -> Float64Array:
    """Flip columns so that the largest entry of each is positive, as eigenvectors have no sign."""
    largest = np.abs(axes).argmax(axis=0)
    return axes * np.where(axes[largest, np.arange(axes.shape[1])] < 0, -1.0, 1.0)
