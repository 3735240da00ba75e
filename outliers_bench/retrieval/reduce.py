"""Principal component analysis before the search."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from outliers_bench.errors import BenchError
from outliers_bench.types import FloatArray


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
        from sklearn.decomposition import PCA

        n, d = vectors.shape
        # Both solvers are exact, so that neither seed nor machine decides a ranking. The
        # covariance route costs n d^2 once and squares the condition number: hence float64.
        solver = "covariance_eigh" if n >= d else "full"
        fitted = PCA(n_components=pca.n, svd_solver=solver).fit(vectors.astype(np.float64))
        axes = fitted.components_
        if pca.whiten:
            deviations = np.sqrt(fitted.explained_variance_)
            # A direction without variance holds only rounding noise, which must not be blown up.
            floor = deviations.max() * np.finfo(np.float32).eps
            axes = axes / np.maximum(deviations, floor)[:, None]
        self._mean = fitted.mean_.astype(np.float32)
        self._axes = np.ascontiguousarray(axes.astype(np.float32))
        self.explained_variance_ratio = float(fitted.explained_variance_ratio_.sum())

    def __call__(self, vectors: FloatArray) -> FloatArray:
        """Project vectors of shape (n, d) to (n, pca.n), float32."""
        return np.ascontiguousarray((vectors - self._mean) @ self._axes.T)
