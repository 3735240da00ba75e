"""KD tree and ball tree: exact, and slower than exhaustive search in many dimensions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from outliers_bench.errors import BenchError
from outliers_bench.retrieval.indexes.index import (
    MAX_C_INT,
    Index,
    Metric,
    Searcher,
    check_range,
    distances_to_scores,
)
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


@dataclass
class KdTree(Tree):
    """SciPy's KD tree: half the search time of scikit-learn's, and a tenth of the import time."""

    name: str = "kd_tree"

    def build(self, gallery: FloatArray) -> TreeSearcher:
        """Build the tree; see `Index.build`."""
        from scipy.spatial import KDTree

        tree = KDTree(_points(gallery, self.metric, 0), leafsize=self.leaf_size)
        nbytes = tree.data.nbytes + tree.indices.nbytes + tree.size * _KD_NODE_BYTES

        def nearest(points: FloatArray, depth: int) -> Any:  # noqa: ANN401 - untyped
            # With a list of ranks, both results are two-dimensional for a depth of 1 too.
            return tree.query(points, range(1, depth + 1), workers=cores())

        return TreeSearcher(nearest, self.metric, len(gallery), nbytes)


@dataclass
class BallTree(Tree):
    """scikit-learn's ball tree."""

    name: str = "ball_tree"

    def build(self, gallery: FloatArray) -> TreeSearcher:
        """Build the tree; see `Index.build`."""
        from sklearn.neighbors import NearestNeighbors

        tree = NearestNeighbors(algorithm="ball_tree", leaf_size=self.leaf_size, n_jobs=-1)
        tree.fit(_points(gallery, self.metric, 0))
        nbytes = sum(np.asarray(part).nbytes for part in tree._tree.get_arrays())
        return TreeSearcher(tree.kneighbors, self.metric, len(gallery), nbytes)


class TreeSearcher(Searcher):
    """Searcher of a built tree.

    Parameters
    ----------
    nearest : callable
        Given points and a depth, finds distances and positions, both of shape (n_points, depth).
    metric : Metric
    n : int
        Number of gallery vectors.
    nbytes : int
        Size in memory, in bytes: the vectors, which trees store in float64, and the nodes.
    """

    def __init__(
        self, nearest: Callable[[FloatArray, int], Any], metric: Metric, n: int, nbytes: int
    ) -> None:
        self._nearest = nearest
        self._metric = metric
        self._n = n
        self.nbytes = nbytes

    def search(self, queries: FloatArray, depth: int) -> tuple[IntArray, FloatArray]:
        """Find the nearest gallery vectors; see `Searcher.search`."""
        points = _points(queries, self._metric, 1)
        distances, positions = self._nearest(points, min(depth, self._n))
        return positions.astype(np.int64), distances_to_scores(distances, self._metric)


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
