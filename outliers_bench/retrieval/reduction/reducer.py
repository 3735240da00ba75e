"""What every reduction is: options that are fitted to vectors and give a projection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from outliers_bench.errors import BenchError
from outliers_bench.types import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class Projection:
    """A fitted reduction: (x - mean) @ axes, in float32.

    Parameters
    ----------
    mean : array of float32, shape (d,)
    axes : array of float32, shape (d, n)
    """

    mean: FloatArray
    axes: FloatArray

    def __call__(self, vectors: FloatArray) -> FloatArray:
        """Project vectors of shape (m, d) to (m, n), float32."""
        return np.asarray((vectors - self.mean) @ self.axes, dtype=np.float32)


@dataclass
class Reducer:
    """Base of the reductions; by itself, as `reduce=none`, it leaves vectors as they are.

    Parameters
    ----------
    n : int or None
        Dimensions kept.
    """

    n: int | None = None
    name: ClassVar[str] = "none"
    needs_labels: ClassVar[bool] = False

    @property
    def active(self) -> bool:
        """Whether anything is reduced."""
        return False

    @property
    def label(self) -> str:
        """What stands in tables; empty where nothing is reduced."""
        return ""

    def check(self) -> None:
        """Raise `BenchError` for options that cannot work on any data."""
        if self.n is not None:
            raise BenchError(
                f"reduce.n={self.n} has nothing to work on: choose reduce=learned_whitening or "
                "random_projection, or give pca.n"
            )

    def check_fit(self, *, n_fit: int, dimensions: int, fitted_on: str) -> None:
        """Raise `BenchError` for options that cannot work on these data.

        Parameters
        ----------
        n_fit : int
            Vectors that there are to fit on.
        dimensions : int
            Their length.
        fitted_on : str
            Which part of the split they are: `train` or `gallery`.
        """

    def check_labels(self, labels: IntArray) -> None:
        """Raise `BenchError` for labels, shape (n_fit,), from which nothing can be learned."""

    def fit(self, vectors: FloatArray, labels: IntArray | None) -> Projection:
        """Fit to vectors of shape (m, d); `labels`, shape (m,), where there are any.

        Train's, or the gallery's where there is no train part; never the queries'.
        """
        raise NotImplementedError
