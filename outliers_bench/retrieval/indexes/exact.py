"""Exhaustive search through faiss: exact, and at some hundred dimensions the fastest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from outliers_bench.retrieval.indexes.faiss_index import FaissIndex
from outliers_bench.types import FloatArray


@dataclass
class Exact(FaissIndex):
    """`index=exact`: every query against every gallery vector.

    References
    ----------
    M. Douze et al., "The Faiss library", 2024.
    """

    name: str = "exact"

    def _built(self, gallery: FloatArray) -> Any:  # noqa: ANN401 - faiss is untyped
        import faiss

        flat = faiss.IndexFlat(gallery.shape[1], self.faiss_metric)
        flat.add(gallery)
        return flat
