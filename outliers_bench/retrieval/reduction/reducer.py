"""Base of the reducers: options that are fitted to vectors and give a projection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, TypeAlias

import numpy as np
import numpy.typing as npt

from outliers_bench.errors import BenchError
from outliers_bench.types import FloatArray, IntArray

Arrays: TypeAlias = Mapping[str, npt.NDArray[Any]]

_BLOCK_ROWS = 1024  # rows projected per block, to avoid a second copy of all vectors


@dataclass(frozen=True, eq=False)
class Projection:
    """Fitted reduction: (x - mean) @ axes, in float32.

    Parameters
    ----------
    mean : array of float32, shape (d,)
    axes : array of float32, shape (d, n)

    Raises
    ------
    ValueError
        If the arrays have other types or shapes.
    """

    mean: FloatArray
    axes: FloatArray

    def __post_init__(self) -> None:
        if self.axes.ndim != 2 or self.mean.shape != self.axes.shape[:1]:
            raise ValueError(f"mean {self.mean.shape} and axes {self.axes.shape}")
        if not self.mean.dtype == self.axes.dtype == np.float32:
            raise ValueError(f"{self.mean.dtype} and {self.axes.dtype}, not float32")

    def __call__(self, vectors: FloatArray) -> FloatArray:
        """Project vectors of shape (m, d) to (m, n), float32."""
        projected: FloatArray = np.empty((len(vectors), self.axes.shape[1]), dtype=np.float32)
        for start in range(0, len(vectors), _BLOCK_ROWS):
            rows = slice(start, start + _BLOCK_ROWS)
            np.matmul(vectors[rows] - self.mean, self.axes, out=projected[rows])
        return projected


@dataclass
class Reducer:
    """Base of the `reduce=` options; as `reduce=none`, it does not change vectors.

    Parameters
    ----------
    n : int or None
        Number of dimensions.
    """

    n: int | None = None
    name: ClassVar[str] = "none"
    needs_labels: ClassVar[bool] = False

    @property
    def active(self) -> bool:
        """True if vectors are reduced."""
        return self.name != "none"

    @property
    def label(self) -> str:
        """Label in tables; empty if nothing is reduced."""
        return ""

    def check(self) -> None:
        """Raise `BenchError` for options that are invalid on any data."""
        if self.n is not None:
            raise BenchError(
                f"reduce.n={self.n} has no effect: use reduce=pca, "
                "reduce=learned_whitening or reduce=random_projection"
            )

    def check_fit(self, *, n_fit: int, dimensions: int, fitted_on: str) -> None:
        """Raise `BenchError` for options that are invalid on these data.

        Parameters
        ----------
        n_fit : int
            Number of vectors to fit on.
        dimensions : int
            Number of dimensions of the vectors.
        fitted_on : str
            Part of the split that they are from: `train` or `gallery`.
        """

    def check_labels(self, labels: IntArray) -> None:
        """Raise `BenchError` for labels, shape (n_fit,), that the reducer cannot be fitted to."""

    def fit(self, vectors: FloatArray, labels: IntArray | None) -> Projection:
        """Fit to vectors of shape (m, d), and labels, shape (m,), if available.

        The vectors are those of the train part, or of the gallery without one; never of queries.
        """
        raise NotImplementedError

    @property
    def cache_keys(self) -> tuple[dict[str, object], ...]:
        """Options that a fit depends on; it may be cached under any of several keys."""
        return (asdict(self),)

    def fit_arrays(
        self, vectors: FloatArray, labels: IntArray | None
    ) -> tuple[dict[str, object], Arrays]:
        """Fit as `fit` does; return one of `cache_keys`, and arrays for `to_projection`."""
        projection = self.fit(vectors, labels)
        return self.cache_keys[-1], {"mean": projection.mean, "axes": projection.axes}

    def to_projection(self, arrays: Arrays) -> Projection:
        """Return the projection that these options select from fitted arrays.

        Raises
        ------
        KeyError, ValueError
            If the arrays, from a damaged file, do not have it.
        """
        return Projection(arrays["mean"], arrays["axes"])
