"""Exhaustive search through faiss: exact, and at some hundred dimensions the fastest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from outliers_bench.retrieval.index import Index, Metric
from outliers_bench.types import FloatArray, IntArray


@dataclass
class Exact(Index):
    """`index=exact`: every query against every gallery vector.

    References
    ----------
    M. Douze et al., "The Faiss library", 2024.
    """

    name: str = "exact"

    def build(self, gallery: FloatArray) -> FlatSearcher:
        """Build over gallery vectors, shape (n, d), float32, normalised where cosine."""
        import faiss

        euclidean = self.metric is Metric.euclidean
        flat = (faiss.IndexFlatL2 if euclidean else faiss.IndexFlatIP)(gallery.shape[1])
        flat.add(np.ascontiguousarray(gallery))
        return FlatSearcher(flat, negate=euclidean)


class FlatSearcher:
    """A faiss index over uncompressed vectors."""

    def __init__(self, flat: Any, *, negate: bool) -> None:  # noqa: ANN401 - faiss is untyped
        self._flat = flat
        self._negate = negate

    @property
    def nbytes(self) -> int:
        """Size in memory."""
        return int(self._flat.ntotal) * int(self._flat.d) * 4

    def search(self, queries: FloatArray, depth: int) -> tuple[IntArray, FloatArray]:
        """Find the nearest gallery vectors; see `Searcher.search`."""
        scores, positions = self._flat.search(np.ascontiguousarray(queries), depth)
        return positions, -scores if self._negate else scores
