"""Exhaustive search by faiss: exact, and the fastest exact index in hundreds of dimensions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from outliers_bench.retrieval.indexes.faiss_index import FaissIndex, limit_threads
from outliers_bench.retrieval.indexes.index import Searcher, fill_missing
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
        """Wrap the vectors, without a copy; see `Index.build`."""
        return ExactSearcher(np.ascontiguousarray(gallery), self.faiss_metric)


class ExactSearcher(Searcher):
    """Searcher that compares all gallery vectors.

    Parameters
    ----------
    gallery : array of float32, shape (n, d)
        Must not be modified: it is not copied, unlike in a faiss index.
    metric : int
        Metric of faiss.
    """

    def __init__(self, gallery: FloatArray, metric: int) -> None:
        self._gallery = gallery
        self._metric = metric
        self.nbytes = gallery.nbytes

    def search(self, queries: FloatArray, depth: int) -> tuple[IntArray, FloatArray]:
        """Find the nearest gallery vectors; see `Searcher.search`."""
        import faiss

        limit_threads()
        depth = min(depth, len(self._gallery))
        scores, positions = faiss.knn(queries, self._gallery, depth, self._metric)
        return fill_missing(positions, -scores if self._metric == faiss.METRIC_L2 else scores)
