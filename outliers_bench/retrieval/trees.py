"""KD tree and ball tree: exact as well, and slower than exhaustive search in many dimensions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from outliers_bench.errors import BenchError
from outliers_bench.retrieval.index import Index, Metric
from outliers_bench.types import FloatArray, IntArray


@dataclass
class Tree(Index):
    """A scikit-learn tree. Euclidean inside, so cosine is searched on normalised vectors.

    Parameters
    ----------
    name : str
        Which tree: kd_tree or ball_tree.
    leaf_size : int
        Vectors in a leaf, searched exhaustively.
    """

    leaf_size: int = 40

    def check(self) -> None:
        """Raise `BenchError` for an inner product, which no tree can search, or an empty leaf."""
        if self.name not in ("kd_tree", "ball_tree"):
            raise BenchError(f"index.name={self.name}: a tree is a kd_tree or a ball_tree")
        if self.metric is Metric.inner_product:
            raise BenchError(
                f"index={self.name} cannot search index.metric=inner_product, which is no "
                "distance; use index.metric=cosine or euclidean, or index=exact"
            )
        if self.leaf_size < 1:
            raise BenchError(f"index.leaf_size={self.leaf_size}: a leaf holds at least 1 vector")

    def build(self, gallery: FloatArray) -> TreeSearcher:
        """Build over gallery vectors, shape (n, d), float32, normalised where cosine."""
        from sklearn.neighbors import NearestNeighbors

        cosine = self.metric is Metric.cosine
        tree = NearestNeighbors(algorithm=self.name, leaf_size=self.leaf_size, n_jobs=-1)
        return TreeSearcher(tree.fit(_all_unit(gallery, 0) if cosine else gallery), cosine=cosine)


class TreeSearcher:
    """A built tree."""

    def __init__(self, tree: Any, *, cosine: bool) -> None:  # noqa: ANN401 - untyped library
        self._tree = tree
        self._cosine = cosine

    @property
    def nbytes(self) -> int:
        """Size in memory: the vectors, which the tree keeps in float64, and its nodes."""
        return sum(np.asarray(part).nbytes for part in self._tree._tree.get_arrays())

    def search(self, queries: FloatArray, depth: int) -> tuple[IntArray, FloatArray]:
        """Find the nearest gallery vectors; see `Searcher.search`."""
        points = _all_unit(queries, 1) if self._cosine else queries
        distances, positions = self._tree.kneighbors(points, n_neighbors=depth)
        squared = np.square(distances)
        # For unit vectors |a - b|^2 = 2 - 2 cos.
        scores = 1 - squared / 2 if self._cosine else -squared
        return positions.astype(np.int64), scores.astype(np.float32)


def _all_unit(vectors: FloatArray, spare: int) -> FloatArray:
    """Two more dimensions, in one of which zero vectors get length 1.

    A zero vector has cosine 0 with everything, but is nearer to unit vectors than they are to each
    other. Pointing where no other vector does, it has cosine 0 and the distance that goes with it.
    """
    padded = np.pad(vectors, ((0, 0), (0, 2)))
    padded[~vectors.any(axis=1), vectors.shape[1] + spare] = 1
    return padded
