"""Base of the `rerank=` options, which as `rerank=none` does not re-rank."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from outliers_bench.runtime.option_labels import name_and_non_defaults
from outliers_bench.types import Exclusion, FloatArray, RankedBlocks, Ranking, join_blocks

if TYPE_CHECKING:
    from outliers_bench.retrieval.indexes.index import Index
    from outliers_bench.retrieval.search import VectorSearch


@dataclass
class Rerank:
    """Base of the `rerank=` options; as `rerank=none`, it does not change a ranking.

    Parameters
    ----------
    name : str
        Name in tables.
    """

    name: str = "none"

    @property
    def label(self) -> str:
        """Label in tables: name and non-default options."""
        return name_and_non_defaults(self, Rerank)

    @property
    def depth(self) -> int | None:
        """Number of hits needed per query; None: all."""
        return 0

    def check(self) -> None:
        """Raise `BenchError` for invalid options."""

    def check_search(self, index: Index, exclusion: Exclusion) -> None:
        """Raise `BenchError` if results of this index or with this exclusion are not supported."""

    def rank(
        self, search: VectorSearch, queries: FloatArray, depth: int, *, exclusion: Exclusion
    ) -> Ranking:
        """Rank the gallery for every query, and re-rank the result.

        Parameters
        ----------
        search : VectorSearch
            The gallery.
        queries : array of float32, shape (n_query, d)
            Not normalized; use `search.prepare`.
        depth : int
            Length of the ranking; a query that has fewer images left has a row that ends with -1.
        exclusion : Exclusion
            Gallery items to exclude for each query. The ranking is the one without these items in
            the gallery, except that a query which is a gallery item may affect its own ranking as
            the query.

        Returns
        -------
        Ranking
            The ranking of a query depends only on that query and the gallery, never on other
            queries.
        """
        blocks = self.rank_blocks(search, queries, depth, exclusion=exclusion)
        return join_blocks(blocks, len(queries), depth)

    def rank_blocks(
        self,
        search: VectorSearch,
        queries: FloatArray,
        depth: int,
        *,
        exclusion: Exclusion,
        full: bool = False,
    ) -> RankedBlocks:
        """Rank and re-rank one block of queries at a time, at least to `depth`; see `rank`.

        With `full`, all other images follow, outside of the timing: those that are not re-ranked
        in the order of the search.
        """
        return search.rank_blocks(queries, depth, exclusion=exclusion, full=full)


def reorder(ranking: Ranking, similarity: FloatArray) -> Ranking:
    """Sort the first hits of a ranking by a new similarity, shape (n_query, shortlist).

    Hits of equal similarity retain their order. The other hits follow in theirs; their scores are
    lowered if they would be above.
    """
    shortlist = similarity.shape[1]
    best = np.argsort(-similarity, axis=1, kind="stable")
    indices, scores = ranking.indices.copy(), ranking.scores.astype(np.float64)
    indices[:, :shortlist] = np.take_along_axis(indices[:, :shortlist], best, axis=1)
    scores[:, :shortlist] = np.take_along_axis(similarity, best, axis=1)
    if 0 < shortlist < ranking.depth:
        excess = scores[:, shortlist] - scores[:, shortlist - 1]
        scores[:, shortlist:] -= np.maximum(excess, 0)[:, None]
    descending = np.minimum.accumulate(scores.astype(np.float32), axis=1)
    return Ranking(indices, descending)
