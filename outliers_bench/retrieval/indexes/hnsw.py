"""HNSW index: a hierarchical graph of neighbors, the fastest if memory allows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from outliers_bench.retrieval.indexes.faiss_index import (
    MAX_THREADS,
    FaissIndex,
    FaissSearcher,
    limit_build_threads,
)
from outliers_bench.retrieval.indexes.index import MAX_C_INT, check_range
from outliers_bench.types import FloatArray

MAX_LINKS = 512


@dataclass
class FaissHnsw(FaissIndex):
    """`index=faiss_hnsw`: approximate, by a hierarchical graph over uncompressed vectors.

    Parameters
    ----------
    m : int
        Links per vector; twice as many in the lowest layer.
    ef_construction : int
        Candidates per vector while building.
    ef_search : int
        Candidates per query. More increase recall and search time.
    build_threads : int or None
        Threads for building; None uses all cores. With more than one, the graph differs from run
        to run.

    References
    ----------
    Y. Malkov, D. Yashunin, "Efficient and robust approximate nearest neighbor search using
    Hierarchical Navigable Small World graphs", TPAMI 2020.
    """

    name: str = "faiss_hnsw"
    m: int = 32
    ef_construction: int = 200
    ef_search: int = 128
    build_threads: int | None = 1

    exact: ClassVar[bool] = False
    is_cached: ClassVar[bool] = True
    search_options: ClassVar[tuple[str, ...]] = ("ef_search",)

    def check(self) -> None:
        """Raise `BenchError` for an option that is out of range."""
        check_range(2, MAX_LINKS, m=self.m)
        check_range(1, MAX_C_INT, ef_construction=self.ef_construction, ef_search=self.ef_search)
        check_range(1, MAX_THREADS, build_threads=self.build_threads)

    def _build_index(self, gallery: FloatArray) -> Any:  # noqa: ANN401 - faiss is untyped
        import faiss

        graph = faiss.IndexHNSWFlat(gallery.shape[1], self.m, self.faiss_metric)
        graph.hnsw.efConstruction = self.ef_construction
        with limit_build_threads(self.build_threads):
            graph.add(gallery)
        return graph

    def _to_searcher(self, built: Any) -> FaissSearcher:  # noqa: ANN401 - faiss is untyped
        built.hnsw.efSearch = self.ef_search
        return super()._to_searcher(built)
