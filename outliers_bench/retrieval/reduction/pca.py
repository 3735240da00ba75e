"""Principal component analysis before the search."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from outliers_bench.errors import BenchError
from outliers_bench.retrieval.reduction.principal_axes import principal_axes
from outliers_bench.retrieval.reduction.reducer import Arrays, Projection, Reducer
from outliers_bench.types import FloatArray, IntArray

MAX_VALUES = 10 << 20  # of all axes (40 MiB); beyond that, only the requested axes are computed


@dataclass
class Pca(Reducer):
    """Project on the `n` directions of largest variance.

    Parameters
    ----------
    whiten : bool
        Whether to scale the components to unit variance.

    References
    ----------
    H. Jégou, O. Chum, "Negative evidences and co-occurences in image retrieval: the benefit of
    PCA and whitening", ECCV 2012.
    """

    whiten: bool = False
    name: ClassVar[str] = "pca"

    @property
    def active(self) -> bool:
        """True if a number of components is set."""
        return self.n is not None

    @property
    def label(self) -> str:
        """Name with the number of components, and whether they are whitened."""
        whitened = " whitened" if self.whiten else ""
        return "" if self.n is None else f"PCA {self.n}{whitened}"

    def check(self) -> None:
        """Raise `BenchError` for `n` below 1, or for whitening without components."""
        if self.n is None and self.whiten:
            raise BenchError("pca.whiten=true needs a number of components: set pca.n too")
        if self.n is not None and self.n < 1:
            raise BenchError(f"pca.n={self.n}: a number of components is at least 1 (null: no PCA)")

    def check_fit(self, *, n_fit: int, dimensions: int, fitted_on: str) -> None:
        """Raise `BenchError` for more components than the data have; see `Reducer.check_fit`."""
        maximum = min(n_fit, dimensions)
        if self.n is not None and self.n > maximum:
            raise BenchError(
                f"pca.n={self.n} is too large: PCA is fitted on the {n_fit} {fitted_on} images "
                f"and the features have {dimensions} dimensions, so at most {maximum}"
            )

    @property
    def cache_keys(self) -> tuple[dict[str, object], ...]:
        """Keys of a fit with all components, and of one with `n` if all are too large."""
        return {"components": "all"}, {"components": self.n}

    def fit_arrays(
        self,
        vectors: FloatArray,
        labels: IntArray | None,  # noqa: ARG002
    ) -> tuple[dict[str, object], Arrays]:
        """Compute all principal axes, or `n` if all are too large; see `Reducer.fit_arrays`.

        All axes are cached so that runs with another `n` can use them, with identical results.
        """
        maximum = min(vectors.shape)
        fits_all = maximum * vectors.shape[1] <= MAX_VALUES
        mean = vectors.mean(axis=0, dtype=np.float64).astype(np.float32)
        n = maximum if fits_all or self.n is None else self.n
        variances, axes = principal_axes(vectors, mean, n)
        arrays = {"mean": mean, "axes": axes.astype(np.float32, order="C"), "variances": variances}
        return self.cache_keys[0 if fits_all else 1], arrays

    def to_projection(self, arrays: Arrays) -> Projection:
        """Return the projection on the first `n` axes, scaled if `whiten` is set."""
        axes, variances = arrays["axes"][:, : self.n], arrays["variances"][: self.n]
        if not axes.shape[1:] == variances.shape == (self.n,):
            raise ValueError(f"{axes.shape[1:]} axes and {variances.shape} variances of {self.n}")
        if self.whiten:
            deviations = np.sqrt(variances)
            # A direction without variance contains only rounding noise, which must not be
            # amplified. If there are only such directions, any positive number works.
            floor = deviations.max() * np.finfo(np.float32).eps or 1.0
            axes = axes / np.maximum(deviations, floor)
        return Projection(arrays["mean"], np.ascontiguousarray(axes, dtype=np.float32))

    def fit(self, vectors: FloatArray, labels: IntArray | None) -> Projection:
        """Fit the principal axes; labels are ignored."""
        return self.to_projection(self.fit_arrays(vectors, labels)[1])
