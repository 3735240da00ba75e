"""Principal component analysis before the search."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from outliers_bench.errors import BenchError
from outliers_bench.retrieval.reduction.principal_axes import principal_axes
from outliers_bench.retrieval.reduction.reducer import Arrays, FittedArrays, Projection, Reducer
from outliers_bench.types import FloatArray, IntArray

MAX_VALUES = 10 << 20  # of all axes together (40 MiB); with more, only those asked for are found


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
        """Name with the number of components, and whether they are whitened."""
        whitened = " whitened" if self.whiten else ""
        return "" if self.n is None else f"PCA {self.n}{whitened}"

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

    @property
    def cache_keys(self) -> tuple[dict[str, object], ...]:
        """One fit holds all components, or where those are too large, the `n` asked for."""
        return {"components": "all"}, {"components": self.n}

    def fit_arrays(self, vectors: FloatArray, labels: IntArray | None) -> FittedArrays:  # noqa: ARG002
        """Find the principal axes, more than `n` where others may want them; see `Reducer.learn`.

        Which ones are found does not depend on `n` then, so neither does what is made of them.
        """
        if self.n is None:
            raise ValueError("a PCA needs a number of components")
        most = min(vectors.shape)
        all_of_them = most * vectors.shape[1] <= MAX_VALUES
        mean = vectors.mean(axis=0, dtype=np.float64).astype(np.float32)
        variances, axes = principal_axes(vectors, mean, most if all_of_them else self.n)
        shared, own = self.cache_keys
        return FittedArrays(
            shared if all_of_them else own,
            {"mean": mean, "axes": axes.astype(np.float32, order="C"), "variances": variances},
        )

    def is_valid(self, arrays: Arrays) -> bool:
        """Whether they are means, axes and variances, and as many as are asked for."""
        variances = arrays.get("variances")
        return (
            self.n is not None
            and super().is_valid(arrays)
            and variances is not None
            and variances.dtype == np.float64
            and variances.shape == arrays["axes"].shape[1:]
            and len(variances) >= self.n
        )

    def to_projection(self, arrays: Arrays) -> Projection:
        """The first `n` of the axes, scaled if they are to be whitened."""
        axes = arrays["axes"][:, : self.n]
        if self.whiten:
            deviations = np.sqrt(arrays["variances"][: self.n])
            # A direction without variance holds only rounding noise, which must not be blown up.
            # Where there is nothing but such directions, any positive number will do.
            floor = deviations.max() * np.finfo(np.float32).eps or 1.0
            axes = axes / np.maximum(deviations, floor)
        return Projection(arrays["mean"], np.ascontiguousarray(axes, dtype=np.float32))

    def fit(self, vectors: FloatArray, labels: IntArray | None) -> Projection:
        """Find the principal axes; labels are not looked at."""
        return self.to_projection(self.fit_arrays(vectors, labels).arrays)
