"""Diffusion of similarity from a query's first hits along the neighbor graph of the gallery."""

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
from outliers_bench.types import Exclusion, FloatArray, IntArray

if TYPE_CHECKING:
    from outliers_bench.retrieval.search import VectorSearch

MAX_SHORTLIST = 2000  # hits; takes a matrix of 32 MB, and some tenths of a second per query


@dataclass
class Diffusion(ShortlistRerank):
    """`rerank=diffusion`: f = (1 - alpha) (I - alpha S)^-1 y on the shortlist of each query.

    S is D^-1/2 A D^-1/2, where A contains the cosines, to the power of gamma, of hits that are
    mutually among their k nearest; y contains those of the query and its first kq hits.

    Parameters
    ----------
    k : int
        Neighbors per gallery item in the graph.
    kq : int
        Number of hits from which the diffusion starts.
    gamma : float
        Exponent of the cosines; negative cosines count as 0.
    alpha : float
        Strength of the diffusion, from 0 (none) to below 1.

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
        """Raise `BenchError` for invalid options."""
        self.check_at_least(1, "k", "kq")
        self.check_at_least(0, "gamma")
        if self.shortlist is None or not self.kq <= self.shortlist <= MAX_SHORTLIST:
            raise BenchError(
                f"rerank.shortlist={self.shortlist or 'null'}: from rerank.kq={self.kq} to "
                f"{MAX_SHORTLIST:,}, since every query solves that many linear equations"
            )
        if not 0 <= self.alpha < 1:
            raise BenchError(f"rerank.alpha={self.alpha}: from 0 to below 1")

    def scorer(self, search: VectorSearch, excluded: int) -> Scorer:
        """Build the neighbor graph of the gallery; see `ShortlistRerank.scorer`."""
        import scipy.linalg  # noqa: F401 - limits apply to libraries that are already loaded
        from threadpoolctl import threadpool_limits

        graph = build_or_load_graph(search, self.k + excluded)

        def score(
            _: FloatArray, hits: IntArray, similarities: FloatArray, exclusion: Exclusion
        ) -> FloatArray:
            scores = np.empty(hits.shape, dtype=np.float32)
            local = np.full(len(search.gallery), -1)  # position of an item in the shortlist
            with threadpool_limits(1):  # small systems take longer with several threads
                for row, near in enumerate(hits):
                    local[near] = np.arange(len(near))
                    of_query = exclusion.take(slice(row, row + 1))
                    affinity = self._affinity(graph, near, local, of_query)
                    scores[row] = self._diffuse(affinity, similarities[row])
                    local[near] = -1
            return scores

        return score

    def _affinity(
        self, graph: NeighborGraph, near: IntArray, local: IntArray, exclusion: Exclusion
    ) -> npt.NDArray[np.float64]:
        """Compute A, shape (m, m), symmetric with a zero diagonal."""
        positions, similarities = graph.nearest(near, self.k, exclusion=exclusion)
        columns = local[positions]
        rows, _ = inside = np.nonzero(columns >= 0)
        directed = np.zeros((len(near), len(near)))
        directed[rows, columns[inside]] = similarity_weights(similarities[inside], self.gamma)
        return np.minimum(directed, directed.T)

    def _diffuse(
        self, affinity: npt.NDArray[np.float64], similarities: FloatArray
    ) -> npt.NDArray[np.float64]:
        degrees = affinity.sum(axis=1)
        scale = np.divide(1, np.sqrt(degrees), out=np.zeros_like(degrees), where=degrees > 0)
        start = np.zeros(len(degrees))
        start[: self.kq] = similarity_weights(similarities[: self.kq], self.gamma)
        system = np.eye(len(degrees)) - self.alpha * scale[:, None] * affinity * scale
        # Rounding may give slightly negative values.
        return np.maximum((1 - self.alpha) * _solve(system, start), 0)


def _solve(
    matrix: npt.NDArray[np.float64], right: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Solve a positive definite system; the checks of scipy.linalg.solve would double the time."""
    from scipy.linalg.lapack import dposv

    _, solution, failed = dposv(matrix, right)
    # If alpha rounds to 1, the matrix is singular.
    return np.asarray(np.linalg.lstsq(matrix, right)[0] if failed else solution)
