"""Item-based collaborative filtering: items similar to the first hits rank higher."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from outliers_bench.errors import BenchError
from outliers_bench.retrieval.neighbors import build_or_load_graph
from outliers_bench.retrieval.rerank.shortlist import Scorer, ShortlistRerank
from outliers_bench.types import Exclusion, FloatArray, IntArray

if TYPE_CHECKING:
    from outliers_bench.retrieval.search import VectorSearch


@dataclass
class CollaborativeFiltering(ShortlistRerank):
    """`rerank=collaborative_filtering`: a query is a user whose first hits are the rated items.

    With ratings r_h = max(cos(q, h), 0) of the items h in the history, an item scores
    (1 - weight) cos(q, item) + weight * sum r_h s(h, item) / sum r_h, where s is the cosine if
    the item is h or among its k nearest, and 0 otherwise or if it is negative.

    Parameters
    ----------
    history : int
        Number of first hits that are rated items.
    k : int
        Number of similar items per item.
    weight : float
        Weight of the history, from 0 to 1; the rest is that of the similarity to the query.

    References
    ----------
    B. Sarwar, G. Karypis, J. Konstan, J. Riedl, "Item-based collaborative filtering
    recommendation algorithms", WWW 2001.
    M. Deshpande, G. Karypis, "Item-based top-N recommendation algorithms", ACM TOIS 22, 2004.
    """

    name: str = "collaborative_filtering"
    history: int = 5
    k: int = 50
    weight: float = 0.5

    def check(self) -> None:
        """Raise `BenchError` for invalid options."""
        self.check_at_least(1, "shortlist", "history", "k")
        if self.shortlist is not None and self.history > self.shortlist:
            raise BenchError(
                f"rerank.history={self.history} is more than rerank.shortlist={self.shortlist}"
            )
        if not 0 <= self.weight <= 1:
            raise BenchError(f"rerank.weight={self.weight}: from 0 to 1")

    def scorer(self, search: VectorSearch, excluded: int) -> Scorer:
        """Build the neighbor graph, the item-item similarities; see `ShortlistRerank.scorer`."""
        graph = build_or_load_graph(search, self.k + excluded)

        def score(
            _: FloatArray, hits: IntArray, similarities: FloatArray, exclusion: Exclusion
        ) -> FloatArray:
            predicted = np.zeros(len(search.gallery))  # of one query at a time
            scores = np.empty(hits.shape, dtype=np.float32)
            for row, near in enumerate(hits):
                history = near[: self.history]
                ratings = np.maximum(similarities[row, : self.history], 0).astype(np.float64)
                similar, item_similarities = graph.nearest(
                    history, self.k, exclusion=exclusion.take(slice(row, row + 1))
                )
                weighted = ratings[:, None] * np.maximum(item_similarities, 0)
                np.add.at(predicted, similar, weighted)
                predicted[history] += ratings  # the similarity of an item to itself is 1
                average = predicted[near] / (ratings.sum() or 1)
                scores[row] = (1 - self.weight) * similarities[row] + self.weight * average
                predicted[similar], predicted[history] = 0, 0
            return scores

        return score
