"""What every index is: a config that can be built over gallery vectors and then searched."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from outliers_bench.types import FloatArray, IntArray


class Metric(Enum):
    """How two vectors are compared."""

    cosine = "cosine"
    euclidean = "euclidean"
    inner_product = "inner_product"


class Searcher(Protocol):
    """An index that has been built."""

    @property
    def nbytes(self) -> int:
        """Size in memory."""
        ...

    def search(self, queries: FloatArray, depth: int) -> tuple[IntArray, FloatArray]:
        """Find the nearest gallery vectors.

        Parameters
        ----------
        queries : array of float32, shape (n_query, d)
            L2-normalised already where the metric is cosine.
        depth : int
            How many to return for each query, at most the gallery's size.

        Returns
        -------
        positions : array of int64, shape (n_query, depth)
        scores : array of float32, shape (n_query, depth)
            Larger is better: inner products, or negative squared Euclidean distances.
        """
        ...


@dataclass
class Index:
    """Base of the `index=` options.

    Parameters
    ----------
    name : str
        What the index is called in tables.
    metric : Metric
        Cosine is searched as Euclidean distance or inner product of L2-normalised vectors.
    """

    name: str
    metric: Metric = Metric.cosine

    def check(self) -> None:
        """Raise `BenchError` for options that cannot work."""

    def build(self, gallery: FloatArray) -> Searcher:
        """Build over gallery vectors, shape (n, d), float32, normalised where cosine."""
        raise NotImplementedError
