"""k-reciprocal re-ranking: items that share k-reciprocal neighbors are similar."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from outliers_bench.errors import BenchError
from outliers_bench.retrieval.neighbors import build_or_load_graph
from outliers_bench.retrieval.rerank.k_reciprocal_encoding import Encodings
from outliers_bench.retrieval.rerank.shortlist import Scorer, ShortlistRerank, rows_by_value
from outliers_bench.types import Exclusion, FloatArray, IntArray

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    from outliers_bench.retrieval.search import VectorSearch


@dataclass
class KReciprocal(ShortlistRerank):
    """`rerank=k_reciprocal`: Jaccard distance of k-reciprocal encodings, and original distance.

    The gallery is encoded without queries; each query is encoded with the gallery alone,
    independent of other queries. If only the query itself is excluded, which is in the gallery, the
    encoding is that of the gallery, as in the paper. If other images are excluded, the gallery is
    encoded without them, once for all queries with the same excluded images.

    Parameters
    ----------
    k1 : int
        Number of nearest neighbors, among which two items must mutually be.
    k2 : int
        Number of nearest items, including the item itself, over which encodings are averaged;
        1 disables averaging.
    lambda_value : float
        Weight of the original distance, 1 - cosine; the rest is that of the Jaccard distance.

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
        """Raise `BenchError` for invalid options."""
        self.check_at_least(1, "shortlist", "k1", "k2")
        if not 0 <= self.lambda_value <= 1:
            raise BenchError(f"rerank.lambda_value={self.lambda_value}: from 0 to 1")

    @property
    def required_hits(self) -> int:
        """Number of hits needed to encode a query."""
        return max(self.k1, self.k2 - 1)

    def scorer(self, search: VectorSearch, excluded: int) -> Scorer:
        """Encode the gallery; see `ShortlistRerank.scorer`."""
        graph = build_or_load_graph(search, self.required_hits + excluded)
        with search.meter.stage("graph"):
            whole = Encodings.from_graph(graph, search.gallery, k1=self.k1, k2=self.k2)

        def score(
            queries: FloatArray, hits: IntArray, similarities: FloatArray, exclusion: Exclusion
        ) -> FloatArray:
            if exclusion.items is not None:
                return score_by(whole, whole.averaged[exclusion.items], hits, similarities)
            scores = np.empty(similarities.shape, dtype=np.float32)
            _, sets = np.unique(exclusion.query_keys, axis=1, return_inverse=True)
            sets[exclusion.counts == 0] = -1
            for number, rows in rows_by_value(sets):
                gallery = whole
                if number >= 0:
                    of_set = exclusion.take(rows[:1])
                    gallery = whole.without(graph, search.gallery, of_set, k1=self.k1, k2=self.k2)
                near = hits[rows], similarities[rows]
                encoded = gallery.encode_queries(
                    queries[rows], search.gallery, *near, k1=self.k1, k2=self.k2
                )
                scored = score_by(gallery, encoded, *near)
                scores[rows, : scored.shape[1]] = scored
            return scores

        def score_by(
            gallery: Encodings, encoded_queries: csr_array, hits: IntArray, similarities: FloatArray
        ) -> FloatArray:
            limit = hits.shape[1] if self.shortlist is None else self.shortlist
            hits, similarities = hits[:, :limit], similarities[:, :limit]
            jaccard = jaccard_similarities(encoded_queries, gallery.averaged, hits)
            combined = (1 - self.lambda_value) * jaccard + self.lambda_value * similarities
            return np.asarray(combined, dtype=np.float32)

        return score


def jaccard_similarities(
    queries: csr_array, encodings: csr_array, hits: IntArray
) -> npt.NDArray[np.float64]:
    """Compute weighted Jaccard similarities of queries and their hits, both of shape (b, m).

    This is the sum of the smaller weights divided by the sum of the larger ones, of the encodings
    of the queries, shape (b, n), and of the gallery, shape (n, n).
    """
    similarities = np.zeros(hits.shape)
    dense = np.zeros(encodings.shape[1])  # row of one query at a time
    sums = np.add.reduceat(encodings.data, encodings.indptr[:-1])
    for row, near in enumerate(hits):
        own = slice(queries.indptr[row], queries.indptr[row + 1])
        members, weights = queries.indices[own], queries.data[own]
        dense[members] = weights
        hit_encodings = encodings[near]
        smaller = np.minimum(hit_encodings.data, dense[hit_encodings.indices])
        common = np.add.reduceat(smaller, hit_encodings.indptr[:-1])
        similarities[row] = common / (sums[near] + weights.sum() - common)
        dense[members] = 0
    return similarities
