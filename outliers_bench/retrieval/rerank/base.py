"""The base of the `rerank=` options, which by itself ranks once and leaves it at that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from outliers_bench.runtime.option_labels import name_and_unusual
from outliers_bench.types import FloatArray, Ranking

if TYPE_CHECKING:
    from outliers_bench.retrieval.indexes.index import Index, Metric
    from outliers_bench.retrieval.search import GallerySearch


@dataclass
class Rerank:
    """Base of the `rerank=` options; by itself it leaves a ranking as it is.

    Parameters
    ----------
    name : str
        What it is called in tables.
    """

    name: str = "none"

    @property
    def label(self) -> str:
        """What stands in tables: name and the parameters that are not the usual ones."""
        return name_and_unusual(self, Rerank)

    @property
    def depth(self) -> int | None:
        """How many of a ranking are needed; None: all."""
        return 0

    def check(self) -> None:
        """Raise `BenchError` for options that cannot work."""

    def check_metric(self, metric: Metric) -> None:
        """Raise `BenchError` if it cannot work on scores of this metric."""

    def check_search(self, index: Index, *, leave_one_out: bool) -> None:  # noqa: ARG002
        """Raise `BenchError` where this index, or protocol, cannot be ranked again."""
        self.check_metric(index.metric)

    def rank(self, search: GallerySearch, queries: FloatArray, depth: int) -> Ranking:
        """Rank the gallery for every query, with a second look.

        Parameters
        ----------
        search : Search
            The gallery. With `search.leave_one_out`, query i is gallery item i, and nothing
            about item i may enter its own ranking other than as the query.
        queries : array of float32, shape (n_query, d)
            Not normalized; `search.comparable` does that.
        depth : int
            Length of the ranking, at most `search.reachable`.

        Returns
        -------
        Ranking
            The ranking of a query depends on that query and the gallery alone, never on the
            other queries asked.
        """
        return search.rank(queries, depth)


def reorder(ranking: Ranking, similarity: FloatArray) -> Ranking:
    """A ranking whose first hits are put in the order of a new similarity.

    Parameters
    ----------
    ranking : Ranking
        Equal similarities keep its order.
    similarity : array of float32, shape (n_query, shortlist)
        Of the first `shortlist` hits of each query, larger is better.

    Returns
    -------
    Ranking
        The others follow as they were; their scores are lowered where they would be above.
    """
    shortlist = similarity.shape[1]
    best = np.argsort(-similarity, axis=1, kind="stable")
    indices, scores = ranking.indices.copy(), ranking.scores.astype(np.float64)
    indices[:, :shortlist] = np.take_along_axis(indices[:, :shortlist], best, axis=1)
    scores[:, :shortlist] = np.take_along_axis(similarity, best, axis=1)
    if 0 < shortlist < ranking.depth:
        above = scores[:, shortlist] - scores[:, shortlist - 1]
        scores[:, shortlist:] -= np.maximum(above, 0)[:, None]
    falling = np.minimum.accumulate(scores.astype(np.float32), axis=1)
    return Ranking(indices, falling)
