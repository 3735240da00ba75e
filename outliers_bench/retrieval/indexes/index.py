"""Base of the indexes: options that build a searcher over gallery vectors."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from outliers_bench.errors import BenchError
from outliers_bench.runtime.option_labels import join_nonempty, non_default_options
from outliers_bench.types import FloatArray, IntArray
from outliers_bench.version import __version__

_LOWEST = np.finfo(np.float32).min


class Metric(Enum):
    """Similarity measure of two vectors."""

    cosine = "cosine"
    euclidean = "euclidean"
    inner_product = "inner_product"


class Searcher:
    """Built index.

    Attributes
    ----------
    nbytes : int
        Size in memory, in bytes.
    """

    nbytes: int

    def search(self, queries: FloatArray, depth: int) -> tuple[IntArray, FloatArray]:
        """Find the nearest gallery vectors.

        Parameters
        ----------
        queries : array of float32, shape (n_query, d)
            L2-normalized if the metric is cosine.
        depth : int
            Number of results per query, limited to the size of the gallery.

        Returns
        -------
        positions : array of int64, shape (n_query, min(depth, n))
            Unique within a row. If an approximate index finds too few, the rest is filled with
            other items in order of position.
        scores : array of float32, shape (n_query, min(depth, n))
            Larger is better: inner products, or negative squared Euclidean distances; finite.
        """
        raise NotImplementedError

    def write(self, folder: Path) -> None:
        """Write the files that `Index.read` reads to an empty folder, if `Index.is_cached`."""
        raise NotImplementedError


MAX_C_INT = 2**31 - 1  # largest value that the libraries accept


def check_range(minimum: int, maximum: int, **options: int | None) -> None:
    """Raise `BenchError` for an index option that is out of range; None is accepted."""
    for name, value in options.items():
        if value is not None and not minimum <= value <= maximum:
            raise BenchError(f"index.{name}={value}: from {minimum} to {maximum:,}")


@dataclass
class Index:
    """Base of the `index=` options.

    Parameters
    ----------
    name : str
        Name in tables.
    metric : Metric
        Similarity measure. The cosine is searched as Euclidean distance or inner product of
        L2-normalized vectors.
    """

    name: str = "exact"
    metric: Metric = Metric.cosine
    exact: ClassVar[bool] = True  # whether results equal those of exhaustive search
    uncompressed: ClassVar[bool] = True  # whether scores are those of the vectors, but for rounding
    is_cached: ClassVar[bool] = False  # whether it is cached on disk, as it takes long to build
    search_options: ClassVar[tuple[str, ...]] = ()  # options that do not affect building

    @property
    def label(self) -> str:
        """Name and non-default options."""
        options = non_default_options(self, type(self), ("name", "metric", "random_seed"))
        return join_nonempty(self.name, *options)

    @property
    def library(self) -> str:
        """Name and version of the library that builds it."""
        raise NotImplementedError

    @property
    def build_key(self) -> dict[str, object]:
        """Everything that a built index depends on, except the vectors."""
        options = {k: v for k, v in asdict(self).items() if k not in ("name", *self.search_options)}
        kind = {"index": type(self).__name__, "metric": self.metric.value}
        return {**options, **kind, "library": self.library, "version": __version__}

    def check(self) -> None:
        """Raise `BenchError` for invalid options."""

    def build(self, gallery: FloatArray) -> Searcher:
        """Build over gallery vectors, shape (n, d), float32, normalized for the cosine."""
        raise NotImplementedError

    def read(self, folder: Path) -> Searcher:
        """Read what a searcher has written, if `is_cached`."""
        raise NotImplementedError


def distances_to_scores(distances: npt.NDArray[np.floating], metric: Metric) -> FloatArray:
    """Convert Euclidean distances to scores: cosines of unit vectors, or negative squares."""
    squared = np.square(distances)
    # For unit vectors |a - b|^2 = 2 - 2 cos.
    scores = 1 - squared / 2 if metric is Metric.cosine else -squared
    return np.asarray(scores, dtype=np.float32)


def fill_missing(positions: IntArray, scores: FloatArray) -> tuple[IntArray, FloatArray]:
    """Fill missing results of an approximate index with other items, in order of position.

    Given positions, negative if missing, and scores in any order, both of shape (n_query, depth).
    Other items follow the results, and share the next float below the lowest score, or 0.
    """
    incomplete = np.flatnonzero((positions < 0).any(axis=1))
    if not len(incomplete):
        return positions, scores
    positions, scores = positions.copy(), scores.copy()
    for row in incomplete:
        is_result = positions[row] >= 0
        results, result_scores = positions[row][is_result], scores[row][is_result]
        # The first `depth` positions always contain enough other items.
        missing = len(is_result) - len(results)
        others = np.setdiff1d(np.arange(len(is_result)), results)[:missing]
        below = np.nextafter(result_scores.min(), _LOWEST) if len(results) else np.float32(0)
        positions[row] = np.concatenate([results, others])
        scores[row] = np.concatenate([result_scores, np.full(missing, below, dtype=np.float32)])
    return positions, scores
