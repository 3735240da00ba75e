"""Principal component analysis before the search."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from outliers_bench.errors import BenchError
from outliers_bench.retrieval.reduction.reducer import Projection, Reducer
from outliers_bench.types import FloatArray, IntArray

# Sides of a matrix up to which eigh in one thread is faster (0.15 s against 0.19 s at 1,024, and
# against 1 s where another process keeps a core busy: BLAS threads wait for the slowest).
_FOR_ONE_THREAD = 1500


@dataclass
class Pca(Reducer):
    """The `n` directions in which the vectors vary most.

    Parameters
    ----------
    whiten : bool
        Whether the components are scaled to unit variance.

    References
    ----------
    H. Jégou, O. Chum, "Negative evidences and co-occurences in image retrieval: the benefit of
    PCA and whitening", ECCV 2012.
    """

    whiten: bool = False
    name: ClassVar[str] = "pca"

    @property
    def active(self) -> bool:
        """Whether there are components."""
        return self.n is not None

    @property
    def label(self) -> str:
        """Number of components, and whether they are whitened."""
        whitened = " whitened" if self.whiten else ""
        return "" if self.n is None else f"{self.n}{whitened}"

    def check(self) -> None:
        """Refuse no components, and whitening without components."""
        if self.n is None and self.whiten:
            raise BenchError("pca.whiten=true needs a number of components: give pca.n too")
        if self.n is not None and self.n < 1:
            raise BenchError(f"pca.n={self.n}: a number of components is at least 1 (null: no PCA)")

    def check_fit(self, *, n_fit: int, dimensions: int, fitted_on: str) -> None:
        """Refuse more components than the data can have; see `Reducer.check_fit`."""
        most = min(n_fit, dimensions)
        if self.n is not None and self.n > most:
            raise BenchError(
                f"pca.n={self.n} is too large: PCA is fitted on the {n_fit} {fitted_on} images "
                f"and the features have {dimensions} dimensions, so at most {most}"
            )

    def fit(self, vectors: FloatArray, labels: IntArray | None) -> Projection:  # noqa: ARG002
        """Find the principal axes; labels are not looked at."""
        if self.n is None:
            raise ValueError("a PCA needs a number of components")
        mean = vectors.mean(axis=0, dtype=np.float64).astype(np.float32)
        variances, axes = principal_axes(vectors - mean, self.n)
        if self.whiten:
            deviations = np.sqrt(variances)
            # A direction without variance holds only rounding noise, which must not be blown up.
            floor = deviations.max() * np.finfo(np.float32).eps
            axes = axes / np.maximum(deviations, floor)
        return Projection(mean, np.ascontiguousarray(axes, dtype=np.float32))


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
