"""What the indexes of faiss share: searching, files, threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import IO, Any

import numpy as np

from outliers_bench.retrieval.indexes.checksum import open_for_reading, open_for_writing
from outliers_bench.retrieval.indexes.index import Index, Metric, Searcher, fill_missing
from outliers_bench.runtime.machine import cores
from outliers_bench.types import FloatArray, IntArray

MAX_THREADS = 4096


@dataclass
class FaissIndex(Index):
    """Base of the indexes that faiss builds; all of them search by every metric."""

    @property
    def library(self) -> str:
        """Name and version of faiss."""
        import faiss

        return f"faiss {faiss.__version__}"

    @property
    def faiss_metric(self) -> int:
        """The metric as faiss calls it; of normalized vectors, the cosine is the inner product."""
        import faiss

        euclidean = self.metric is Metric.euclidean
        return int(faiss.METRIC_L2 if euclidean else faiss.METRIC_INNER_PRODUCT)

    def build(self, gallery: FloatArray) -> Searcher:
        """Build over gallery vectors, shape (n, d), float32, normalized for the cosine."""
        return self._wrap(self._build_index(np.ascontiguousarray(gallery)))

    def load(self, path: Path) -> Searcher:
        """Read what a searcher of this index has saved; see `Index.load`."""
        with open_for_reading(path, self.header) as file:
            try:
                built = _read(file)
            except RuntimeError as error:
                raise ValueError(f"{path} cannot be read by {self.library}: {error}") from error
        return self._wrap(built)

    def _build_index(self, gallery: FloatArray) -> Any:  # noqa: ANN401 - faiss is untyped
        """Build faiss' own index."""
        raise NotImplementedError

    def _wrap(self, built: Any) -> FaissSearcher:  # noqa: ANN401 - faiss is untyped
        """Wrap faiss' index, with the options that only searching depends on."""
        return FaissSearcher(built, self.header)


class FaissSearcher:
    """An index that faiss has built.

    Parameters
    ----------
    built : faiss.Index
        Its dimensions may be more than those of the vectors, which then end in zeros.
    header : dict of str to str
        What it is, for its file.
    """

    def __init__(self, built: Any, said: dict[str, str]) -> None:  # noqa: ANN401 - faiss is untyped
        self._index = built
        self._said = said

    @property
    def nbytes(self) -> int:
        """Size in memory: what would be written, and tables made from it when it is read."""
        written = 0

        def count(data: bytes) -> int:
            nonlocal written
            written += len(data)
            return len(data)

        self._write(count)
        tables = getattr(self._index, "precomputed_table", None)
        return written + (4 * int(tables.size()) if tables is not None else 0)

    def search(self, queries: FloatArray, depth: int) -> tuple[IntArray, FloatArray]:
        """Find the nearest gallery vectors; see `Searcher.search`."""
        import faiss

        limit_threads()
        padded = pad_dimensions(queries, self._index.d)
        scores, positions = self._index.search(padded, min(depth, self._index.ntotal))
        distances = self._index.metric_type == faiss.METRIC_L2
        return fill_missing(positions, -scores if distances else scores)

    def save(self, path: Path) -> None:
        """Write to a single file that `FaissIndex.load` reads."""
        with open_for_writing(path, self._said) as file:
            self._write(file.write)

    def _write(self, write: Callable[[bytes], int]) -> None:
        faiss: Any = import_module("faiss")  # whose types leave out what reads and writes
        faiss.write_index(self._index, faiss.PyCallbackIOWriter(write))


def _read(file: IO[bytes]) -> Any:  # noqa: ANN401 - faiss is untyped
    faiss: Any = import_module("faiss")
    return faiss.read_index(faiss.PyCallbackIOReader(file.read))


def pad_dimensions(vectors: FloatArray, d: int) -> FloatArray:
    """Vectors of d dimensions, the added ones zero: no inner product or distance changes."""
    if vectors.shape[1] < d:
        return np.pad(vectors, ((0, 0), (0, d - vectors.shape[1])))
    return np.ascontiguousarray(vectors)


def limit_threads() -> None:
    """Let faiss use no more threads than this process has cores, in the thread that calls.

    OpenMP counts the cores of the machine, or of the affinity, and not those of a quota; threads
    beyond that wait for each other. It counts anew for each thread that begins a search.
    """
    import faiss

    faiss.omp_set_num_threads(min(faiss.omp_get_max_threads(), cores()))


@contextmanager
def limit_build_threads(threads: int | None) -> Iterator[None]:
    """Let libraries use so many threads inside the block; None: all."""
    from threadpoolctl import threadpool_limits

    limit_threads()
    # Reaches faiss' own OpenMP as well as the BLAS below it.
    with threadpool_limits(threads):
        yield
