"""Principal component analysis before the search."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from outliers_bench.errors import BenchError
from outliers_bench.retrieval.reduction.eigen import (
    Float64Array,
    fix_signs,
    leading_eigenvectors,
)
from outliers_bench.retrieval.reduction.reducer import Projection, Reducer
from outliers_bench.types import FloatArray, IntArray


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
            # Where there is nothing but such directions, any positive number will do.
            floor = deviations.max() * np.finfo(np.float32).eps or 1.0
            axes = axes / np.maximum(deviations, floor)
        return Projection(mean, np.ascontiguousarray(axes, dtype=np.float32))


def principal_axes(centred: FloatArray | Float64Array, n: int) -> tuple[Float64Array, Float64Array]:
    """The n directions of largest variance, exactly.

    Only the wanted eigenvectors of the smaller of covariance and Gram matrix are computed, in
    float64: a third of the time of scikit-learn's exact solvers for a few dozen components, and
    without their seconds of import. Neither a seed nor the order of solvers decides a ranking.

    Parameters
    ----------
    centred : array of float32 or float64, shape (m, d)
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
    m, d = centred.shape
    x = centred.astype(np.float64)
    wide = m < d
    values, vectors = leading_eigenvectors(x @ x.T if wide else x.T @ x, n)
    values = np.maximum(values, 0.0)
    if wide:
        # X = U S V', so V = X' U / S; a direction without variance stays a zero column.
        lengths = np.sqrt(values)
        real = lengths > lengths.max() * np.sqrt(np.finfo(np.float64).eps)
        vectors = np.divide(x.T @ vectors, lengths, out=np.zeros((d, n)), where=real)
    return values / max(m - 1, 1), fix_signs(vectors)
