"""KD tree and ball tree: exact, and slower than exhaustive search in many dimensions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from outliers_bench.errors import BenchError
from outliers_bench.retrieval.indexes.index import MAX_C_INT, VECTORS, Index, Metric, check_range
from outliers_bench.runtime.machine import cores
from outliers_bench.types import FloatArray, IntArray

_KD_NODE_BYTES = 72  # SciPy's ckdtreenode: five numbers and four pointers


@dataclass
class Tree(Index):
    """Base of the tree indexes, which use Euclidean distance; the cosine is searched by it too.

    Parameters
    ----------
    leaf_size : int
        Vectors per leaf, searched exhaustively.
    """

    leaf_size: int = 40

    def check(self) -> None:
        """Raise `BenchError` for an inner product, which trees do not support, or empty leaves."""
        if self.metric is Metric.inner_product:
            raise BenchError(
                f"index={self.name} does not support index.metric=inner_product, which is not a "
                "distance; use index.metric=cosine or euclidean, or index=exact"
            )
        check_range(1, MAX_C_INT, leaf_size=self.leaf_size)

    def build(self, gallery: FloatArray) -> TreeSearcher:
        """Build over gallery vectors, shape (n, d), float32, normalized for the cosine."""
        raise NotImplementedError

    def read(self, folder: Path) -> TreeSearcher:
        """Build the tree again from the written vectors; see `Index.read`.

        Both libraries can only pickle their trees, and building takes seconds.
        """
        return self.build(np.load(folder / VECTORS, allow_pickle=False))


@dataclass
class KdTree(Tree):
    """SciPy's KD tree: half the search time of scikit-learn's, and a tenth of the import time."""

    name: str = "kd_tree"

    def build(self, gallery: FloatArray) -> TreeSearcher:
        """Build over gallery vectors, shape (n, d), float32, normalized for the cosine."""
        from scipy.spatial import KDTree

        tree = KDTree(_points(gallery, self.metric, 0), leafsize=self.leaf_size)
        nodes = tree.size * _KD_NODE_BYTES
        nbytes = tree.data.nbytes + tree.indices.nbytes + nodes
        return KdSearcher(tree, self, gallery, nbytes)


@dataclass
class BallTree(Tree):
    """scikit-learn's ball tree."""

    name: str = "ball_tree"

    def build(self, gallery: FloatArray) -> TreeSearcher:
        """Build over gallery vectors, shape (n, d), float32, normalized for the cosine."""
        from sklearn.neighbors import NearestNeighbors

        tree = NearestNeighbors(algorithm="ball_tree", leaf_size=self.leaf_size, n_jobs=-1)
        tree.fit(_points(gallery, self.metric, 0))
        nbytes = sum(np.asarray(part).nbytes for part in tree._tree.get_arrays())
        return BallSearcher(tree, self, gallery, nbytes)


class TreeSearcher:
    """Searcher of a built tree.

    Parameters
    ----------
    tree : object
        Tree object of the library.
    options : Tree
        Options it was built with.
    gallery : array of float32, shape (n, d)
        Vectors it was built over.
    nbytes : int
        Size in memory, in bytes: the vectors, which trees store in float64, and the nodes.
    """

    def __init__(
        self,
        tree: Any,  # noqa: ANN401 - untyped
        options: Tree,
        gallery: FloatArray,
        nbytes: int,
    ) -> None:
        self._tree = tree
        self._metric = options.metric
        self._gallery = gallery
        self.nbytes = nbytes

    def search(self, queries: FloatArray, depth: int) -> tuple[IntArray, FloatArray]:
        """Find the nearest gallery vectors; see `Searcher.search`."""
        depth = min(depth, len(self._gallery))
        distances, positions = self._nearest(_points(queries, self._metric, 1), depth)
        squared = np.square(distances)
        # For unit vectors |a - b|^2 = 2 - 2 cos.
        scores = 1 - squared / 2 if self._metric is Metric.cosine else -squared
        return positions.astype(np.int64), scores.astype(np.float32)

    def write(self, folder: Path) -> None:
        """Write the vectors; see `Searcher.write`."""
        np.save(folder / VECTORS, self._gallery, allow_pickle=False)

    def _nearest(
        self, points: FloatArray, depth: int
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.intp]]:
        """Find distances and positions of the nearest, both of shape (n_points, depth)."""
        raise NotImplementedError


class KdSearcher(TreeSearcher):
    """Searcher of a built KD tree."""

    def _nearest(
        self, points: FloatArray, depth: int
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.intp]]:
        # With a list of ranks, both results are two-dimensional for a depth of 1 too.
        distances, positions = self._tree.query(points, range(1, depth + 1), workers=cores())
        return distances, positions


class BallSearcher(TreeSearcher):
    """Searcher of a built ball tree."""

    def _nearest(
        self, points: FloatArray, depth: int
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.intp]]:
        distances, positions = self._tree.kneighbors(points, n_neighbors=depth)
        return distances, positions


def _points(vectors: FloatArray, metric: Metric, spare: int) -> FloatArray:
    """Convert vectors to points; for the cosine, zero vectors become unit vectors.

    A zero vector has cosine 0 with every vector, but its distance to unit vectors is that of a
    larger cosine. So two dimensions are added, and a zero vector points along the one numbered
    `spare`, orthogonal to all others: its distances then correspond to a cosine of 0.
    """
    if metric is not Metric.cosine:
        return vectors
    padded = np.pad(vectors, ((0, 0), (0, 2)))
    padded[~vectors.any(axis=1), vectors.shape[1] + spare] = 1
    return padded
