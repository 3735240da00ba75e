"""Exhaustive search by faiss: exact, and the fastest exact index in hundreds of dimensions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from outliers_bench.retrieval.indexes.faiss_index import FaissIndex, limit_threads
from outliers_bench.retrieval.indexes.index import VECTORS, fill_missing
from outliers_bench.types import FloatArray, IntArray


@dataclass
class Exact(FaissIndex):
    """`index=exact`: compares every query with every gallery vector.

    References
    ----------
    M. Douze et al., "The Faiss library", 2024.
    """

    name: str = "exact"

    def build(self, gallery: FloatArray) -> ExactSearcher:
        """Wrap gallery vectors, shape (n, d), float32, normalized for the cosine, uncopied."""
        return ExactSearcher(np.ascontiguousarray(gallery), self)

    def read(self, folder: Path) -> ExactSearcher:
        """Read written vectors; see `Index.read`."""
        return ExactSearcher(np.load(folder / VECTORS, allow_pickle=False), self)


class ExactSearcher:
    """Searcher that compares all gallery vectors.

    Parameters
    ----------
    gallery : array of float32, shape (n, d)
        Must not be modified: it is not copied, unlike in a faiss index.
    options : Exact
        Options, including the metric.
    """

    def __init__(self, gallery: FloatArray, options: Exact) -> None:
        self._gallery = gallery
        self._options = options

    @property
    def nbytes(self) -> int:
        """Size in memory, in bytes."""
        return self._gallery.nbytes

    def search(self, queries: FloatArray, depth: int) -> tuple[IntArray, FloatArray]:
        """Find the nearest gallery vectors; see `Searcher.search`."""
        import faiss

        limit_threads()
        metric = self._options.faiss_metric
        depth = min(depth, len(self._gallery))
        scores, positions = faiss.knn(queries, self._gallery, depth, metric)
        return fill_missing(positions, -scores if metric == faiss.METRIC_L2 else scores)

    def write(self, folder: Path) -> None:
        """Write the vectors; see `Searcher.write`."""
        np.save(folder / VECTORS, self._gallery, allow_pickle=False)
