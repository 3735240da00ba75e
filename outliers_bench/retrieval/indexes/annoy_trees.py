"""Index of random projection trees: annoy, a package that is compiled on installation."""

from __future__ import annotations

import importlib.metadata
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, Literal

import numpy as np

from outliers_bench.errors import BenchError
from outliers_bench.retrieval.indexes.index import (
    MAX_C_INT,
    Index,
    Metric,
    Searcher,
    check_range,
    distances_to_scores,
    fill_missing,
)
from outliers_bench.runtime.invocation import install_command
from outliers_bench.runtime.machine import cores
from outliers_bench.types import FloatArray, IntArray

MAX_TREES = 100_000
_DIMENSIONS, _NODES = "dimensions.txt", "nodes"
_ANNOY_METRICS: dict[Metric, Literal["angular", "euclidean", "dot"]] = {
    Metric.cosine: "angular",
    Metric.euclidean: "euclidean",
    Metric.inner_product: "dot",
}


@dataclass
class Annoy(Index):
    """`index=annoy`: approximate, by a forest of random trees.

    Built with one thread, so that the trees are reproducible.

    Parameters
    ----------
    n_trees : int
        Number of trees. More trees increase recall and memory.
    search_k : int or None
        Maximum number of vectors compared per query; None uses the number of results times
        `n_trees`.
    random_seed : int
        Seed of the trees.

    References
    ----------
    E. Bernhardsson, "Annoy: Approximate Nearest Neighbors in C++/Python", 2018.
    """

    name: str = "annoy"
    n_trees: int = 50
    search_k: int | None = None
    random_seed: int = 0

    exact: ClassVar[bool] = False
    is_cached: ClassVar[bool] = True
    search_options: ClassVar[tuple[str, ...]] = ("search_k",)

    @property
    def library(self) -> str:
        """Name and version of annoy."""
        return f"annoy {importlib.metadata.version('annoy')}"

    def check(self) -> None:
        """Raise `BenchError` if annoy is not installed or an option is out of range."""
        try:
            importlib.import_module("annoy")
        except ImportError as error:
            raise BenchError(
                f"index=annoy needs the package annoy ({error}): {install_command('annoy')}"
            ) from error
        check_range(1, MAX_TREES, n_trees=self.n_trees)
        check_range(1, MAX_C_INT, search_k=self.search_k)
        check_range(0, 2**32 - 1, random_seed=self.random_seed)

    def build(self, gallery: FloatArray) -> AnnoySearcher:
        """Build the forest; see `Index.build`."""
        trees = self._create_forest(gallery.shape[1])
        trees.set_seed(self.random_seed % 2**31)  # annoy takes a C int
        for position, vector in enumerate(gallery):
            trees.add_item(position, vector)
        trees.build(self.n_trees, n_jobs=1)
        with TemporaryDirectory() as folder:
            path = Path(folder) / _NODES
            # Annoy continues with the saved file instead of its memory: it stays mapped.
            trees.save(str(path))
            return AnnoySearcher(trees, self, path.stat().st_size)

    def read(self, folder: Path) -> AnnoySearcher:
        """Map a written forest into memory; see `Index.read`."""
        trees = self._create_forest(int((folder / _DIMENSIONS).read_text()))
        trees.load(str(folder / _NODES))
        return AnnoySearcher(trees, self, (folder / _NODES).stat().st_size)

    def _create_forest(self, d: int) -> Any:  # noqa: ANN401 - annoy may not be installed
        from annoy import AnnoyIndex

        return AnnoyIndex(d, _ANNOY_METRICS[self.metric])


class AnnoySearcher(Searcher):
    """Searcher of a built annoy index.

    Parameters
    ----------
    trees : annoy.AnnoyIndex
    index : Annoy
        The options.
    nbytes : int
        Size in memory, in bytes: that of the nodes, which include the vectors.
    """

    def __init__(self, trees: Any, index: Annoy, nbytes: int) -> None:  # noqa: ANN401
        self._trees = trees
        self._index = index
        self.nbytes = nbytes

    def search(self, queries: FloatArray, depth: int) -> tuple[IntArray, FloatArray]:
        """Find the nearest gallery vectors; see `Searcher.search`."""
        depth = min(depth, self._trees.get_n_items())
        positions = np.full((len(queries), depth), -1, dtype=np.int64)
        annoy_values = np.zeros((len(queries), depth), dtype=np.float32)
        search_k = -1 if self._index.search_k is None else self._index.search_k

        def search_row(row: int) -> None:
            result = self._trees.get_nns_by_vector(queries[row], depth, search_k, True)
            count = len(result[0])
            positions[row, :count], annoy_values[row, :count] = result

        with ThreadPoolExecutor(cores()) as pool:  # annoy releases the GIL
            list(pool.map(search_row, range(len(queries))))
        metric = self._index.metric
        if metric is not Metric.inner_product:
            annoy_values = distances_to_scores(annoy_values, metric)
        return fill_missing(positions, annoy_values)

    def write(self, folder: Path) -> None:
        """Write the forest; see `Searcher.write`."""
        (folder / _DIMENSIONS).write_text(f"{self._trees.f}\n")
        self._trees.save(str(folder / _NODES))
