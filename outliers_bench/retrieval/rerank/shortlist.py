"""What the re-rankers share: the metric they need, and how a shortlist is put in a new order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from outliers_bench.errors import BenchError
from outliers_bench.retrieval.indexes.index import Metric
from outliers_bench.retrieval.rerank.base import Rerank, reorder
from outliers_bench.retrieval.ties import pair_similarities, sorted_with_ties
from outliers_bench.runtime.progress import track
from outliers_bench.types import FloatArray, IntArray, Ranking

if TYPE_CHECKING:
    from outliers_bench.retrieval.search import GallerySearch

BLOCK_ITEMS = 2_000_000  # gallery items ranked at a time, over all queries of a block
SCORED_ITEMS = 50_000  # of these, put in a new order at a time


@dataclass
class CosineRerank(Rerank):
    """Base of the re-rankers whose weights are cosines."""

    def check_metric(self, metric: Metric) -> None:
        """Refuse whatever is not the cosine."""
        if metric is not Metric.cosine:
            raise BenchError(
                f"rerank={self.name} weighs by cosines and index.metric={metric.value} gives none; "
                "use index.metric=cosine or rerank=none"
            )

    def check_at_least(self, least: float, *options: str) -> None:
        """Raise `BenchError` for the first of some options that is below `least`, or endless."""
        for option in options:
            value = getattr(self, option)
            if value is not None and not least <= value < np.inf:
                raise BenchError(f"rerank.{option}={value}: at least {least:g}")


class Scorer(Protocol):
    """What gives the hits of some queries their new similarity."""

    def __call__(
        self,
        queries: FloatArray,
        hits: IntArray,
        similarities: FloatArray,
        items: IntArray | None,
    ) -> FloatArray:
        """New similarities of each query's hits.

        Parameters
        ----------
        queries : array of float32, shape (b, d)
            Of unit length.
        hits : array of int64, shape (b, m)
            Gallery positions, nearest first.
        similarities : array of float32, shape (b, m)
            Their cosines.
        items : array of int64, shape (b,), or None
            With `GallerySearch.leave_one_out`, which gallery item each query is.

        Returns
        -------
        array of float32, shape (b, at most m)
            Of the first hits, larger is better; those beyond are not put in a new order.
        """
        ...


@dataclass
class ShortlistRerank(CosineRerank):
    """Base of the re-rankers that put the first hits of each query in a new order.

    Parameters
    ----------
    shortlist : int or None
        How many hits of each query are put in a new order; None: all.
    """

    shortlist: int | None = 200

    def scorer(self, search: GallerySearch) -> Scorer:
        """What is made of the gallery alone, once, and then gives hits their new similarity."""
        raise NotImplementedError

    @property
    def required_hits(self) -> int:
        """Hits that a query needs, though they may not be put in a new order."""
        return 0

    def rank(self, search: GallerySearch, queries: FloatArray, depth: int) -> Ranking:
        """Rank the gallery for every query, its first hits in a new order; see `Rerank.rank`."""
        self.check_metric(search.index.metric)
        if search.max_depth == 0:
            return search.rank(queries, depth)
        scorer = self.scorer(search)
        most = search.max_depth if self.shortlist is None else self.shortlist
        hits = min(max(most, self.required_hits), search.max_depth)
        deep = max(depth, hits)
        rankings = []
        for rows in query_blocks(len(queries), deep):
            items = rows if search.leave_one_out else None
            ranking = search.rank(queries[rows], deep, items=items)
            with search.meter.stage("search"), search.meter.stage("rerank"):
                ranking = self._rerank_hits(
                    search, scorer, queries[rows], ranking, hits=hits, items=items
                )
            rankings.append(truncate(ranking, depth))
        return concatenate(rankings, depth)

    def _rerank_hits(
        self,
        search: GallerySearch,
        scorer: Scorer,
        queries: FloatArray,
        ranking: Ranking,
        *,
        hits: int,
        items: IntArray | None,
    ) -> Ranking:
        queries = search.prepare(queries)
        ranking, similarities = rescore_by_cosine(search, queries, ranking, hits)
        most = hits if self.shortlist is None else min(self.shortlist, hits)
        changed = np.empty((len(queries), most), dtype=np.float32)
        size = max(1, SCORED_ITEMS // max(1, hits))
        starts = range(0, len(queries), size)
        for start in track(starts, stage="rerank", total=len(starts), unit="blocks"):
            rows = slice(start, start + size)
            changed[rows] = scorer(
                queries[rows],
                ranking.indices[rows, :hits],
                similarities[rows],
                None if items is None else items[rows],
            )[:, :most]
        return reorder(ranking, changed)


def rescore_by_cosine(
    search: GallerySearch, queries: FloatArray, ranking: Ranking, hits: int
) -> tuple[Ranking, FloatArray]:
    """Cosines of the first hits that depend on query and item alone, and the hits in their order.

    An index rounds by what else stands in the block, and some return other scores altogether.

    Parameters
    ----------
    search : Search
    queries : array of float32, shape (b, d)
        Of unit length.
    ranking : Ranking
        At least `hits` deep.
    hits : int

    Returns
    -------
    ranking : Ranking
    similarities : array of float32, shape (b, hits)
    """
    positions = ranking.indices[:, :hits]
    found = pair_similarities(queries, search.gallery, positions)
    positions, found = sorted_with_ties(positions, found, search.order)
    indices = np.concatenate([positions, ranking.indices[:, hits:]], axis=1)
    scores = np.concatenate([found, ranking.scores[:, hits:]], axis=1)
    return Ranking(indices, np.minimum.accumulate(scores, axis=1)), found


def query_blocks(n_query: int, deep: int) -> Iterator[IntArray]:
    """Positions of queries, so many at a time that rankings of this depth stay small."""
    size = max(64, BLOCK_ITEMS // max(1, deep))
    for start in range(0, n_query, size):
        yield np.arange(start, min(start + size, n_query))


def truncate(ranking: Ranking, depth: int) -> Ranking:
    """The first `depth` of each query; copied, so that the rest is given back."""
    return Ranking(ranking.indices[:, :depth].copy(), ranking.scores[:, :depth].copy())


def concatenate(rankings: list[Ranking], depth: int) -> Ranking:
    """Rankings of successive queries as one."""
    indices = [np.empty((0, depth), np.int64), *(ranking.indices for ranking in rankings)]
    scores = [np.empty((0, depth), np.float32), *(ranking.scores for ranking in rankings)]
    return Ranking(np.concatenate(indices), np.concatenate(scores))
