"""KD tree and ball tree: exact as well, and slower than exhaustive search in many dimensions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from outliers_bench.errors import BenchError
from outliers_bench.machine import cores
from outliers_bench.retrieval.index import Index, Metric
from outliers_bench.types import FloatArray, IntArray

_KD_NODE_BYTES = 72  # SciPy's ckdtreenode: five numbers and four pointers


@dataclass
class Tree(Index):
    """Base of the trees. Euclidean inside, so cosine is searched on normalised vectors.

    Parameters
    ----------
    leaf_size : int
        Vectors in a leaf, searched exhaustively.
    """

    leaf_size: int = 40

    def check(self) -> None:
        """Raise `BenchError` for an inner product, which no tree can search, or an empty leaf."""
        if self.metric is Metric.inner_product:
            raise BenchError(
                f"index={self.name} cannot search index.metric=inner_product, which is no "
                "distance; use index.metric=cosine or euclidean, or index=exact"
            )
        if self.leaf_size < 1:
            raise BenchError(f"index.leaf_size={self.leaf_size}: a leaf holds at least 1 vector")


@dataclass
class KdTree(Tree):
    """SciPy's kd tree: searches in half the time of scikit-learn's, and imports in a tenth."""

    name: str = "kd_tree"

    def build(self, gallery: FloatArray) -> TreeSearcher:
        """Build over gallery vectors, shape (n, d), float32, normalised where cosine."""
        from scipy.spatial import KDTree

        tree = KDTree(_points(gallery, self.metric, 0), leafsize=self.leaf_size)
        nodes = tree.size * _KD_NODE_BYTES
        return KdSearcher(tree, self.metric, tree.data.nbytes + tree.indices.nbytes + nodes)


@dataclass
class BallTree(Tree):
    """scikit-learn's ball tree."""

    name: str = "ball_tree"

    def build(self, gallery: FloatArray) -> TreeSearcher:
        """Build over gallery vectors, shape (n, d), float32, normalised where cosine."""
        from sklearn.neighbors import NearestNeighbors

        tree = NearestNeighbors(algorithm="ball_tree", leaf_size=self.leaf_size, n_jobs=-1)
        tree.fit(_points(gallery, self.metric, 0))
        nbytes = sum(np.asarray(part).nbytes for part in tree._tree.get_arrays())
        return BallSearcher(tree, self.metric, nbytes)


class TreeSearcher:
    """A built tree.

    Parameters
    ----------
    tree : object
        The library's.
    metric : Metric
        Cosine or Euclidean.
    nbytes : int
        Size in memory: the vectors, which trees keep in float64, and the nodes.
    """

    def __init__(self, tree: Any, metric: Metric, nbytes: int) -> None:  # noqa: ANN401 - untyped
        self._tree = tree
        self._metric = metric
        self.nbytes = nbytes

    def search(self, queries: FloatArray, depth: int) -> tuple[IntArray, FloatArray]:
        """Find the nearest gallery vectors; see `Searcher.search`."""
        distances, positions = self._nearest(_points(queries, self._metric, 1), depth)
        squared = np.square(distances)
        # For unit vectors |a - b|^2 = 2 - 2 cos.
        scores = 1 - squared / 2 if self._metric is Metric.cosine else -squared
        return positions.astype(np.int64), scores.astype(np.float32)

    def _nearest(
        self, points: FloatArray, depth: int
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.intp]]:
        """Distances and positions of the nearest, both of shape (n_points, depth)."""
        raise NotImplementedError


class KdSearcher(TreeSearcher):
    """A built kd tree."""

    def _nearest(
        self, points: FloatArray, depth: int
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.intp]]:
        # A list of ranks keeps both results two-dimensional for a depth of 1.
        distances, positions = self._tree.query(points, range(1, depth + 1), workers=cores())
        return distances, positions


class BallSearcher(TreeSearcher):
    """A built ball tree."""

    def _nearest(
        self, points: FloatArray, depth: int
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.intp]]:
        distances, positions = self._tree.kneighbors(points, n_neighbors=depth)
        return distances, positions


def _points(vectors: FloatArray, metric: Metric, spare: int) -> FloatArray:
    """Vectors as points; for cosine two more dimensions, in one of which zeros get length 1.

    A zero vector has cosine 0 with everything, but is nearer to unit vectors than they are to each
    other. Pointing where no other vector does, it has cosine 0 and the distance that goes with it.
    """
    if metric is not Metric.cosine:
        return vectors
    padded = np.pad(vectors, ((0, 0), (0, 2)))
    padded[~vectors.any(axis=1), vectors.shape[1] + spare] = 1
    return padded
