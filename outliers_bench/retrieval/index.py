"""What every index is: a config that can be built over gallery vectors and then searched."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import ClassVar, Protocol

from outliers_bench.labels import joined, unusual
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
            How many to return for each query; more than the gallery has are not returned.

        Returns
        -------
        positions : array of int64, shape (n_query, min(depth, n))
            Each once in a row. Where an approximate index finds too few, those that it has not
            found follow in order of position.
        scores : array of float32, shape (n_query, min(depth, n))
            Larger is better: inner products, or negative squared Euclidean distances; finite.
        """
        ...

    def save(self, path: Path) -> None:
        """Write to one file, which `Index.load` reads."""
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

    name: str = "exact"
    metric: Metric = Metric.cosine
    exact: ClassVar[bool] = True  # whether it finds all that exhaustive search finds
    kept: ClassVar[bool] = False  # whether building takes so long that it is kept on disk

    @property
    def label(self) -> str:
        """Name, and the parameters that are not the usual ones."""
        return joined(self.name, *unusual(self, type(self), ("name", "metric")))

    def check(self) -> None:
        """Raise `BenchError` for options that cannot work."""

    def build(self, gallery: FloatArray) -> Searcher:
        """Build over gallery vectors, shape (n, d), float32, normalised where cosine."""
        raise NotImplementedError

    def load(self, path: Path) -> Searcher:
        """Read what a searcher of this index has saved.

        Raises
        ------
        ValueError
            If the file is damaged or holds something else.
        """
        raise NotImplementedError
