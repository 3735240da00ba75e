"""Principal component analysis before the search."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from outliers_bench.errors import BenchError
from outliers_bench.types import FloatArray

# Sides of a matrix up to which eigh in one thread is faster (0.15 s against 0.19 s at 1,024, and
# against 1 s where another process keeps a core busy: BLAS threads wait for the slowest).
_FOR_ONE_THREAD = 1500


@dataclass
class Pca:
    """Reduction before the search.

    Parameters
    ----------
    n : int or None
        Number of principal components; None leaves the features as they are.
    whiten : bool
        Whether the components are scaled to unit variance.
    """

    n: int | None = None
    whiten: bool = False


def check_pca(pca: Pca, *, n_fit: int, dimensions: int, fitted_on: str) -> None:
    """Refuse more components than the data can have, before anything is embedded.

    Raises
    ------
    BenchError
        If `pca.n` is below 1 or above min(n_fit, dimensions).
    """
    if pca.n is None:
        if pca.whiten:
            raise BenchError("pca.whiten=true needs a number of components: give pca.n too")
        return
    if pca.n < 1:
        raise BenchError(f"pca.n={pca.n}: a number of components is at least 1 (null: no PCA)")
    if pca.n > min(n_fit, dimensions):
        raise BenchError(
            f"pca.n={pca.n} is too large: PCA is fitted on the {n_fit} {fitted_on} images "
            f"and the features have {dimensions} dimensions, so at most {min(n_fit, dimensions)}"
        )


class Projection:
    """A fitted PCA: (x - mean) @ components.T, in float32.

    Parameters
    ----------
    vectors : array of float32, shape (n, d)
        What it is fitted on: train, or the gallery where there is no train part; never queries.
    pca : Pca
        Number of components, at most min(n, d), and whether to whiten.

    References
    ----------
    H. Jégou, O. Chum, "Negative evidences and co-occurences in image retrieval: the benefit of
    PCA and whitening", ECCV 2012.
    """

    def __init__(self, vectors: FloatArray, pca: Pca) -> None:
        if pca.n is None:
            raise ValueError("a projection needs a number of components")
        self._mean = vectors.mean(axis=0, dtype=np.float64).astype(np.float32)
        variances, axes = principal_axes(vectors - self._mean, pca.n)
        if pca.whiten:
            deviations = np.sqrt(variances)
            # A direction without variance holds only rounding noise, which must not be blown up.
            floor = deviations.max() * np.finfo(np.float32).eps
            axes = axes / np.maximum(deviations, floor)
        self._axes = np.ascontiguousarray(axes, dtype=np.float32)

    def __call__(self, vectors: FloatArray) -> FloatArray:
        """Project vectors of shape (n, d) to (n, pca.n), float32."""
        projected: FloatArray = (vectors - self._mean) @ self._axes
        return projected


def principal_axes(
    centred: FloatArray, n: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The n directions of largest variance, exactly.

    Only the wanted eigenvectors of the smaller of covariance and Gram matrix are computed, in
    float64: a third of the time of scikit-learn's exact solvers for a few dozen components, and
    without their seconds of import. Neither a seed nor the order of solvers decides a ranking.

    Parameters
    ----------
    centred : array of float32, shape (m, d)
        Vectors whose mean has been subtracted.
    n : int
        How many, at most min(m, d).

    Returns
    -------
    variances : array of float64, shape (n,)
        Falling; divided by m - 1.
    axes : array of float64, shape (d, n)
        Orthonormal columns. The largest entry of each is positive.
    """
    from scipy.linalg import eigh
    from threadpoolctl import threadpool_limits

    m, d = centred.shape
    x = centred.astype(np.float64)
    wide = m < d
    square = x @ x.T if wide else x.T @ x
    size = len(square)
    with threadpool_limits(1 if size <= _FOR_ONE_THREAD else None):
        values, vectors = eigh(
            square, subset_by_index=[size - n, size - 1], overwrite_a=True, check_finite=False
        )
    values, vectors = np.maximum(values[::-1], 0.0), vectors[:, ::-1]
    if wide:
        # X = U S V', so V = X' U / S; a direction without variance stays a zero column.
        lengths = np.sqrt(values)
        real = lengths > lengths.max() * np.sqrt(np.finfo(np.float64).eps)
        vectors = np.divide(x.T @ vectors, lengths, out=np.zeros((d, n)), where=real)
    largest = np.abs(vectors).argmax(axis=0)
    vectors = vectors * np.where(vectors[largest, np.arange(n)] < 0, -1.0, 1.0)
    return values / max(m - 1, 1), vectors
