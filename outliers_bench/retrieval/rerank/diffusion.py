"""Diffusion: similarity flows from a query's first hits along the gallery's neighbor graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from outliers_bench.errors import BenchError
from outliers_bench.retrieval.neighbors import (
    NeighborGraph,
    build_or_load_graph,
    similarity_weights,
)
from outliers_bench.retrieval.rerank.shortlist import Scorer, ShortlistRerank
from outliers_bench.types import FloatArray, IntArray

if TYPE_CHECKING:
    from outliers_bench.retrieval.search import GallerySearch

MAX_SHORTLIST = 2000  # hits; a matrix of 32 MB, and some tenths of a second a query


@dataclass
class Diffusion(ShortlistRerank):
    """`rerank=diffusion`: f = (1 - alpha) (I - alpha S)^-1 y on the shortlist of each query.

    S is D^-1/2 A D^-1/2, A the cosines, to the power of gamma, of those hits that are among the
    k nearest of each other; y the same of the query and its first kq hits.

    Parameters
    ----------
    k : int
        Neighbors of each gallery item in the graph.
    kq : int
        Hits from which the flow starts.
    gamma : float
        Power of the cosines, of which negative ones count as 0.
    alpha : float
        How far it flows: 0 stays at the first hits; below 1.

    References
    ----------
    A. Iscen, G. Tolias, Y. Avrithis, T. Furon, O. Chum, "Efficient diffusion on region manifolds:
    recovering small objects with compact CNN representations", CVPR 2017.
    F. Yang, R. Hinami, Y. Matsui, S. Ly, S. Satoh, "Efficient image retrieval via decoupling
    diffusion into online and offline processing", AAAI 2019.
    """

    name: str = "diffusion"
    k: int = 10
    kq: int = 5
    gamma: float = 3.0
    alpha: float = 0.9

    def check(self) -> None:
        """Raise `BenchError` for options that cannot work."""
        self.check_at_least(1, "k", "kq")
        self.check_at_least(0, "gamma")
        if self.shortlist is None or not self.kq <= self.shortlist <= MAX_SHORTLIST:
            raise BenchError(
                f"rerank.shortlist={self.shortlist or 'null'}: from rerank.kq={self.kq} to "
                f"{MAX_SHORTLIST:,}, for every query takes a system of as many equations"
            )
        if not 0 <= self.alpha < 1:
            raise BenchError(f"rerank.alpha={self.alpha}: from 0 to below 1")

    def scorer(self, search: GallerySearch) -> Scorer:
        """Find the gallery's neighbor graph."""
        import scipy.linalg  # noqa: F401 - limits hold for the libraries loaded before
        from threadpoolctl import threadpool_limits

        graph = build_or_load_graph(search, self.k + int(search.leave_one_out))
        local = np.full(len(search.gallery), -1)  # where an item stands in a shortlist

        def score(
            queries: FloatArray,  # noqa: ARG001
            hits: IntArray,
            similarities: FloatArray,
            items: IntArray | None,
        ) -> FloatArray:
            found = np.empty(hits.shape, dtype=np.float32)
            with threadpool_limits(1):  # systems so small take longer on several threads
                for row, near in enumerate(hits):
                    local[near] = np.arange(len(near))
                    without = None if items is None else items[row : row + 1]
                    affinity = self._affinity(graph, near, local, without)
                    found[row] = self._spread(affinity, similarities[row])
                    local[near] = -1
            return found

        return score

    def _affinity(
        self, graph: NeighborGraph, near: IntArray, local: IntArray, without: IntArray | None
    ) -> npt.NDArray[np.float64]:
        """A, shape (m, m): symmetric, zero on its diagonal."""
        positions, similarities = graph.nearest(near, self.k, without=without)
        columns = local[positions]
        rows, _ = inside = np.nonzero(columns >= 0)
        chosen = np.zeros((len(near), len(near)))
        chosen[rows, columns[inside]] = similarity_weights(similarities[inside], self.gamma)
        return np.minimum(chosen, chosen.T)

    def _spread(
        self, affinity: npt.NDArray[np.float64], similarities: FloatArray
    ) -> npt.NDArray[np.float64]:
        degrees = affinity.sum(axis=1)
        scale = np.divide(1, np.sqrt(degrees), out=np.zeros_like(degrees), where=degrees > 0)
        start = np.zeros(len(degrees))
        start[: self.kq] = similarity_weights(similarities[: self.kq], self.gamma)
        kept = np.eye(len(degrees)) - self.alpha * scale[:, None] * affinity * scale
        # Rounding may leave less than nothing where nothing flows.
        return np.maximum((1 - self.alpha) * _solved(kept, start), 0)


def _solved(
    matrix: npt.NDArray[np.float64], right: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Solve a positive definite system; scipy.linalg.solve takes twice the time on its checks."""
    from scipy.linalg.lapack import dposv

    _, solution, failed = dposv(matrix, right)
    # With alpha within rounding of 1 it is singular.
    return np.asarray(np.linalg.lstsq(matrix, right)[0] if failed else solution)
