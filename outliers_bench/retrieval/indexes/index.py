"""What every index is: a config that can be built over gallery vectors and then searched."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path
from typing import ClassVar, Protocol

import numpy as np

from outliers_bench.errors import BenchError
from outliers_bench.runtime.option_labels import joined, unusual
from outliers_bench.types import FloatArray, IntArray
from outliers_bench.version import __version__

_LOWEST = np.finfo(np.float32).min


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
            L2-normalized already where the metric is cosine.
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


MAX_C_INT = 2**31 - 1  # libraries take C ints


def check_range(least: int, most: int, **options: int | None) -> None:
    """Raise `BenchError` for an option of an index that is out of range; None passes."""
    for name, value in options.items():
        if value is not None and not least <= value <= most:
            raise BenchError(f"index.{name}={value}: from {least} to {most:,}")


@dataclass
class Index:
    """Base of the `index=` options.

    Parameters
    ----------
    name : str
        What the index is called in tables.
    metric : Metric
        Cosine is searched as Euclidean distance or inner product of L2-normalized vectors.
    """

    name: str = "exact"
    metric: Metric = Metric.cosine
    exact: ClassVar[bool] = True  # whether it finds all that exhaustive search finds
    is_cached: ClassVar[bool] = False  # whether building takes so long that it is kept on disk
    search_options: ClassVar[tuple[str, ...]] = ()  # options that building does not depend on

    @property
    def label(self) -> str:
        """Name, and the parameters that are not the usual ones."""
        return joined(self.name, *unusual(self, type(self), ("name", "metric", "random_seed")))

    @property
    def library(self) -> str:
        """Name and version of what builds it."""
        raise NotImplementedError

    @property
    def header(self) -> dict[str, str]:
        """What the file of a built index is of."""
        return {"index": type(self).__name__, "metric": self.metric.value}

    @property
    def build_key(self) -> dict[str, object]:
        """All that a built index depends on, but for the vectors."""
        options = {k: v for k, v in asdict(self).items() if k not in ("name", *self.search_options)}
        return {**options, **self.header, "library": self.library, "version": __version__}

    def check(self) -> None:
        """Raise `BenchError` for options that cannot work."""

    def build(self, gallery: FloatArray) -> Searcher:
        """Build over gallery vectors, shape (n, d), float32, normalized where cosine."""
        raise NotImplementedError

    def load(self, path: Path) -> Searcher:
        """Read what a searcher of this index has saved.

        Raises
        ------
        ValueError
            If the file is damaged or holds something else.
        """
        raise NotImplementedError


def fill_missing(positions: IntArray, scores: FloatArray) -> tuple[IntArray, FloatArray]:
    """Fill up what an approximate index has not found, in order of position.

    Parameters
    ----------
    positions : array of int64, shape (n_query, depth)
        Below zero where nothing was found; depth is at most the size of the gallery.
    scores : array of float32, shape (n_query, depth)
        Of the found ones, in any order.

    Returns
    -------
    positions : array of int64, shape (n_query, depth)
        The found ones as they stood, then others.
    scores : array of float32, shape (n_query, depth)
        Those of the others are equal, and next below the lowest found; 0 where none was found.
    """
    lacking = np.flatnonzero((positions < 0).any(axis=1))
    if not len(lacking):
        return positions, scores
    positions, scores = positions.copy(), scores.copy()
    for row in lacking:
        hit = positions[row] >= 0
        found, reached = positions[row][hit], scores[row][hit]
        # Of the first `depth` positions at least so many are left as are lacking.
        others = np.setdiff1d(np.arange(len(hit)), found)[: len(hit) - len(found)]
        below = np.nextafter(reached.min(), _LOWEST) if len(found) else np.float32(0)
        positions[row] = np.concatenate([found, others])
        scores[row] = np.concatenate([reached, np.full(len(others), below, dtype=np.float32)])
    return positions, scores
