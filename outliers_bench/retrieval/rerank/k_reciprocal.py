"""k-reciprocal re-ranking: near is who shares neighbors that would choose one another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from outliers_bench.errors import BenchError
from outliers_bench.retrieval.neighbors import build_or_load_graph
from outliers_bench.retrieval.rerank.k_reciprocal_encoding import Encodings
from outliers_bench.retrieval.rerank.shortlist import Scorer, ShortlistRerank
from outliers_bench.types import FloatArray, IntArray

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    from outliers_bench.retrieval.search import GallerySearch


@dataclass
class KReciprocal(ShortlistRerank):
    """`rerank=k_reciprocal`: Jaccard distance of k-reciprocal encodings, and the original one.

    The gallery is encoded by itself; a query is joined to it alone, whatever else is asked.

    Parameters
    ----------
    k1 : int
        Neighbors among which two must find each other.
    k2 : int
        Nearest, an item itself among them, over which encodings are averaged; 1: not at all.
    lambda_value : float
        Share of the original distance, 1 - cosine; the rest is the Jaccard distance.

    References
    ----------
    Z. Zhong, L. Zheng, D. Cao, S. Li, "Re-ranking person re-identification with k-reciprocal
    encoding", CVPR 2017.
    """

    name: str = "k_reciprocal"
    k1: int = 20
    k2: int = 6
    lambda_value: float = 0.3

    def check(self) -> None:
        """Raise `BenchError` for options that cannot work."""
        self.check_at_least(1, "shortlist", "k1", "k2")
        if not 0 <= self.lambda_value <= 1:
            raise BenchError(f"rerank.lambda_value={self.lambda_value}: from 0 to 1")

    @property
    def required_hits(self) -> int:
        """Hits that a query is joined to the gallery by."""
        return max(self.k1, self.k2 - 1)

    def scorer(self, search: GallerySearch) -> Scorer:
        """Encode the gallery."""
        graph = build_or_load_graph(search, self.required_hits)
        with search.meter.stage("graph"):
            gallery = Encodings.from_graph(graph, search.gallery, k1=self.k1, k2=self.k2)

        def score(
            queries: FloatArray,
            hits: IntArray,
            similarities: FloatArray,
            items: IntArray | None,
        ) -> FloatArray:
            if items is None:
                asked = gallery.join(
                    queries, search.gallery, hits, similarities, k1=self.k1, k2=self.k2
                )
            else:
                asked = gallery.averaged[items]  # the query is a node of the graph already
            most = hits.shape[1] if self.shortlist is None else self.shortlist
            hits, similarities = hits[:, :most], similarities[:, :most]
            jaccard = jaccard_similarities(asked, gallery.averaged, hits)
            mixed = (1 - self.lambda_value) * jaccard + self.lambda_value * similarities
            return np.asarray(mixed, dtype=np.float32)

        return score


def jaccard_similarities(
    asked: csr_array, encodings: csr_array, hits: IntArray
) -> npt.NDArray[np.float64]:
    """Sum of the smaller weights over the sum of the larger ones, of queries and their hits.

    Parameters
    ----------
    asked : sparse array, shape (b, n)
    encodings : sparse array, shape (n, n)
    hits : array of int64, shape (b, m)

    Returns
    -------
    array of float64, shape (b, m)
    """
    found = np.zeros(hits.shape)
    query = np.zeros(encodings.shape[1])  # one at a time as a dense row
    sums = np.add.reduceat(encodings.data, encodings.indptr[:-1])
    for row, near in enumerate(hits):
        own = slice(asked.indptr[row], asked.indptr[row + 1])
        members, weights = asked.indices[own], asked.data[own]
        query[members] = weights
        theirs = encodings[near]
        smaller = np.minimum(theirs.data, query[theirs.indices])
        common = np.add.reduceat(smaller, theirs.indptr[:-1])
        found[row] = common / (sums[near] + weights.sum() - common)
        query[members] = 0
    return found
