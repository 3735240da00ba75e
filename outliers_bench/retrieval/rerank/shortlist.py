"""Bases of the re-rankers: those that need cosines, and those that reorder a shortlist."""

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
from outliers_bench.types import Exclusion, FloatArray, IntArray, Ranking

if TYPE_CHECKING:
    from outliers_bench.retrieval.search import VectorSearch

BLOCK_ITEMS = 2_000_000  # gallery items ranked per block, over all its queries
SCORED_ITEMS = 50_000  # gallery items re-ranked per block, over all its queries


@dataclass
class CosineRerank(Rerank):
    """Base of the re-rankers that use cosines as weights."""

    def check_metric(self, metric: Metric) -> None:
        """Raise `BenchError` for metrics other than the cosine."""
        if metric is not Metric.cosine:
            raise BenchError(
                f"rerank={self.name} needs cosines and does not support "
                f"index.metric={metric.value}; use index.metric=cosine or rerank=none"
            )

    def check_at_least(self, minimum: float, *options: str) -> None:
        """Raise `BenchError` for the first option that is below `minimum` or not finite."""
        for option in options:
            value = getattr(self, option)
            if value is not None and not minimum <= value < np.inf:
                raise BenchError(f"rerank.{option}={value}: at least {minimum:g}")


def check_only_itself(rerank: Rerank, exclusion: Exclusion) -> None:
    """Raise `BenchError` if more than the query itself is excluded from the gallery."""
    if exclusion.largest and exclusion.items is None:
        raise BenchError(
            f"rerank={rerank.name} can exclude the query itself from the gallery, but not other "
            "images; use rerank=alpha_qe, diffusion, collaborative_filtering or none"
        )


class Scorer(Protocol):
    """Function that computes new similarities for the hits of some queries."""

    def __call__(
        self,
        queries: FloatArray,
        hits: IntArray,
        similarities: FloatArray,
        exclusion: Exclusion,
    ) -> FloatArray:
        """Compute new similarities of each query's hits.

        Parameters
        ----------
        queries : array of float32, shape (b, d)
            Of unit length.
        hits : array of int64, shape (b, m)
            Gallery positions, nearest first.
        similarities : array of float32, shape (b, m)
            Their cosines.
        exclusion : Exclusion
            Gallery items that are excluded for each query, which must not affect its scores.

        Returns
        -------
        array of float32, shape (b, at most m)
            Similarities of the first hits, larger is better; the other hits retain their order.
        """
        ...


@dataclass
class ShortlistRerank(CosineRerank):
    """Base of the re-rankers that reorder the first hits of each query.

    Parameters
    ----------
    shortlist : int or None
        Number of hits per query that are reordered, at most `Exclusion.max_depth`; None: as many.
    """

    shortlist: int | None = 200

    def scorer(self, search: VectorSearch, excluded: int) -> Scorer:
        """Precompute what depends only on the gallery, and return a scorer of hits.

        Parameters
        ----------
        search : VectorSearch
        excluded : int
            Largest number of items that are excluded for a query.
        """
        raise NotImplementedError

    @property
    def required_hits(self) -> int:
        """Number of hits that a query needs, even if they are not reordered."""
        return 0

    def rank(
        self,
        search: VectorSearch,
        queries: FloatArray,
        depth: int,
        *,
        exclusion: Exclusion | None = None,
    ) -> Ranking:
        """Rank the gallery for every query, and reorder the first hits; see `Rerank.rank`."""
        exclusion = exclusion or Exclusion.nothing(len(queries), len(search))
        self.check_search(search.index, exclusion)
        max_depth = exclusion.max_depth
        if max_depth == 0:
            return search.rank(queries, depth, exclusion=exclusion)
        excluded = exclusion.largest
        scorer = search.once(f"{self} {excluded}", lambda: self.scorer(search, excluded))
        limit = max_depth if self.shortlist is None else self.shortlist
        hits = min(max(limit, self.required_hits), max_depth)
        deep = max(depth, hits)
        rankings = []
        for rows in query_blocks(len(queries), deep):
            of_block = exclusion.take(rows)
            ranking = search.rank(queries[rows], deep, exclusion=of_block)
            with search.meter.stage("search"), search.meter.stage("rerank"):
                ranking = self._rerank_hits(
                    search, scorer, queries[rows], ranking, hits=hits, exclusion=of_block
                )
            rankings.append(truncate(ranking, depth))
        return concatenate(rankings, depth)

    def _rerank_hits(
        self,
        search: VectorSearch,
        scorer: Scorer,
        queries: FloatArray,
        ranking: Ranking,
        *,
        hits: int,
        exclusion: Exclusion,
    ) -> Ranking:
        queries = search.prepare(queries)
        ranking, similarities = rescore_by_cosine(search, queries, ranking, hits)
        limit = hits if self.shortlist is None else min(self.shortlist, hits)
        new_similarities = np.empty((len(queries), limit), dtype=np.float32)
        size = max(1, SCORED_ITEMS // max(1, hits))
        starts = range(0, len(queries), size)
        for start in track(starts, stage="rerank", total=len(starts), unit="blocks"):
            rows = slice(start, start + size)
            new_similarities[rows] = scorer(
                queries[rows],
                ranking.indices[rows, :hits],
                similarities[rows],
                exclusion.take(rows),
            )[:, :limit]
        return reorder(ranking, new_similarities)


def rescore_by_cosine(
    search: VectorSearch, queries: FloatArray, ranking: Ranking, hits: int
) -> tuple[Ranking, FloatArray]:
    """Recompute the cosines of the first hits, and sort the hits by them.

    These cosines depend only on query and item. The scores of an index are rounded depending on
    the rest of the block, and some indexes return other scores.

    Parameters
    ----------
    search : VectorSearch
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
    cosines = pair_similarities(queries, search.gallery, positions)
    positions, cosines = sorted_with_ties(positions, cosines, search.order)
    indices = np.concatenate([positions, ranking.indices[:, hits:]], axis=1)
    scores = np.concatenate([cosines, ranking.scores[:, hits:]], axis=1)
    return Ranking(indices, np.minimum.accumulate(scores, axis=1)), cosines


def query_blocks(n_query: int, deep: int) -> Iterator[IntArray]:
    """Yield positions of queries in blocks that limit the memory of rankings of this depth."""
    size = max(64, BLOCK_ITEMS // max(1, deep))
    for start in range(0, n_query, size):
        yield np.arange(start, min(start + size, n_query))


def truncate(ranking: Ranking, depth: int) -> Ranking:
    """Return the first `depth` hits of each query, copied to release the memory of the rest."""
    return Ranking(ranking.indices[:, :depth].copy(), ranking.scores[:, :depth].copy())


def concatenate(rankings: list[Ranking], depth: int) -> Ranking:
    """Concatenate rankings of successive queries."""
    indices = [np.empty((0, depth), np.int64), *(ranking.indices for ranking in rankings)]
    scores = [np.empty((0, depth), np.float32), *(ranking.scores for ranking in rankings)]
    return Ranking(np.concatenate(indices), np.concatenate(scores))
