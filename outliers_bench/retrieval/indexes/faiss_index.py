"""Base of the faiss indexes: search, files, threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from outliers_bench.retrieval.indexes.index import Index, Metric, Searcher, fill_missing
from outliers_bench.runtime.machine import cores
from outliers_bench.types import FloatArray, IntArray

MAX_THREADS = 4096
_FILE = "index.faiss"


@dataclass
class FaissIndex(Index):
    """Base of the faiss indexes, which support every metric."""

    @property
    def library(self) -> str:
        """Name and version of faiss."""
        import faiss

        return f"faiss {faiss.__version__}"

    @property
    def faiss_metric(self) -> int:
        """Metric of faiss; the cosine is the inner product of normalized vectors."""
        import faiss

        euclidean = self.metric is Metric.euclidean
        return int(faiss.METRIC_L2 if euclidean else faiss.METRIC_INNER_PRODUCT)

    def build(self, gallery: FloatArray) -> Searcher:
        """Build the index; see `Index.build`."""
        return self._to_searcher(self._build_index(np.ascontiguousarray(gallery)))

    def read(self, folder: Path) -> Searcher:
        """Read a written index; see `Index.read`."""
        faiss: Any = import_module("faiss")  # its type stubs lack the I/O functions
        with (folder / _FILE).open("rb") as file:
            try:
                built = faiss.read_index(faiss.PyCallbackIOReader(file.read))
            except RuntimeError as error:
                raise ValueError(f"{folder} cannot be read by {self.library}: {error}") from error
        return self._to_searcher(built)

    def _build_index(self, gallery: FloatArray) -> Any:  # noqa: ANN401 - faiss is untyped
        """Build the index object of faiss."""
        raise NotImplementedError

    def _to_searcher(self, built: Any) -> FaissSearcher:  # noqa: ANN401 - faiss is untyped
        """Wrap the index object of faiss, after setting the search options."""
        return FaissSearcher(built)


class FaissSearcher(Searcher):
    """Searcher of a built faiss index.

    Parameters
    ----------
    built : faiss.Index
        May have more dimensions than the vectors, which are then padded with zeros.
    """

    def __init__(self, built: Any) -> None:  # noqa: ANN401 - faiss is untyped
        self._index = built

    @cached_property
    def nbytes(self) -> int:  # type: ignore[override]  # computed when it is needed
        """Size in memory, in bytes: that of the file and of tables computed on reading."""
        file_bytes = 0

        def count(data: bytes) -> int:
            nonlocal file_bytes
            file_bytes += len(data)
            return len(data)

        self._write(count)
        tables = getattr(self._index, "precomputed_table", None)
        return file_bytes + (4 * int(tables.size()) if tables is not None else 0)

    def search(self, queries: FloatArray, depth: int) -> tuple[IntArray, FloatArray]:
        """Find the nearest gallery vectors; see `Searcher.search`."""
        import faiss

        limit_threads()
        padded = pad_dimensions(queries, self._index.d)
        scores, positions = self._index.search(padded, min(depth, self._index.ntotal))
        is_distance = self._index.metric_type == faiss.METRIC_L2
        return fill_missing(positions, -scores if is_distance else scores)

    def write(self, folder: Path) -> None:
        """Write the index object of faiss; see `Searcher.write`."""
        with (folder / _FILE).open("wb") as file:
            self._write(file.write)

    def _write(self, write: Callable[[bytes], int]) -> None:
        faiss: Any = import_module("faiss")  # its type stubs lack the I/O functions
        faiss.write_index(self._index, faiss.PyCallbackIOWriter(write))


def pad_dimensions(vectors: FloatArray, d: int) -> FloatArray:
    """Pad vectors with zeros to d dimensions; inner products and distances do not change."""
    if vectors.shape[1] < d:
        return np.pad(vectors, ((0, 0), (0, d - vectors.shape[1])))
    return np.ascontiguousarray(vectors)


def limit_threads() -> None:
    """Limit faiss, in the calling thread, to the number of cores of this process.

    OpenMP respects the CPU affinity but not a quota, and excess threads wait for each other. The
    limit applies per thread, so it is set before each search.
    """
    import faiss

    faiss.omp_set_num_threads(min(faiss.omp_get_max_threads(), cores()))


@contextmanager
def limit_build_threads(threads: int | None) -> Iterator[None]:
    """Limit the threads of libraries inside the block; None: all cores."""
    from threadpoolctl import threadpool_limits

    limit_threads()
    # Applies to the OpenMP of faiss and to its BLAS.
    with threadpool_limits(threads):
        yield
