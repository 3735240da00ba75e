"""Random projection: a data-independent reduction, the baseline of learned reductions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from outliers_bench.errors import BenchError
from outliers_bench.retrieval.reduction.reducer import Projection, Reducer
from outliers_bench.types import FloatArray, IntArray


@dataclass
class RandomProjection(Reducer):
    """Project on `n` directions drawn from a normal distribution, independent of the data.

    Entries have variance 1/n, so squared distances are preserved on average, with a relative
    deviation of sqrt(2/n). Vectors are not centered, so that angles, and cosines, are preserved.

    Parameters
    ----------
    n : int
        Number of dimensions; required.
    random_seed : int
        Seed of the directions.

    References
    ----------
    W. B. Johnson, J. Lindenstrauss, "Extensions of Lipschitz mappings into a Hilbert space", 1984;
    S. Dasgupta, A. Gupta, "An elementary proof of a theorem of Johnson and Lindenstrauss", 2003.
    """

    random_seed: int = 0
    name: ClassVar[str] = "random_projection"

    @property
    def label(self) -> str:
        """Name and number of dimensions."""
        return f"random projection {self.n}"

    def check(self) -> None:
        """Raise `BenchError` for `n` below 1 or unset, or a seed that is out of range."""
        if self.n is None or self.n < 1:
            raise BenchError(
                f"reduce.n={'null' if self.n is None else self.n}: random_projection needs a "
                "number of dimensions, at least 1"
            )
        if not 0 <= self.random_seed < 2**32:
            raise BenchError(f"reduce.random_seed={self.random_seed}: from 0 to {2**32 - 1}")

    def check_fit(self, *, n_fit: int, dimensions: int, fitted_on: str) -> None:  # noqa: ARG002
        """Raise `BenchError` for more dimensions than features; see `Reducer.check_fit`."""
        if self.n is not None and self.n > dimensions:
            raise BenchError(
                f"reduce.n={self.n} is too large: the features have {dimensions} dimensions, and "
                "a random projection cannot add any"
            )

    def fit(self, vectors: FloatArray, labels: IntArray | None) -> Projection:  # noqa: ARG002
        """Draw the directions; only the number of dimensions of the vectors is used."""
        d = vectors.shape[1]
        n = self.n or d
        axes = np.random.default_rng(self.random_seed).standard_normal((d, n), np.float32)
        axes /= np.float32(np.sqrt(n))
        return Projection(np.zeros(d, dtype=np.float32), axes)
