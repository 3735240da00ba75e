"""Bases of the re-rankers: those that need cosines, and those that reorder a shortlist."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, TypeAlias

import numpy as np

from outliers_bench.errors import BenchError
from outliers_bench.retrieval.indexes.index import Metric
from outliers_bench.retrieval.rerank.base import Rerank, reorder
from outliers_bench.retrieval.ties import pair_similarities, sorted_with_ties
from outliers_bench.runtime.machine import total_memory
from outliers_bench.runtime.progress import track
from outliers_bench.runtime.units import format_bytes
from outliers_bench.types import Exclusion, FloatArray, IntArray, RankedBlocks, Ranking

if TYPE_CHECKING:
    from outliers_bench.retrieval.indexes.index import Index
    from outliers_bench.retrieval.search import VectorSearch

Scorer: TypeAlias = Callable[[FloatArray, IntArray, FloatArray, Exclusion], FloatArray]
BLOCK_ITEMS = 2_000_000  # gallery items ranked per block, over all its queries
NEIGHBOR_BYTES = 12  # position and similarity in the neighbor graph
SCORED_ITEMS = 50_000  # gallery items re-ranked per block, over all its queries


@dataclass
class CosineRerank(Rerank):
    """Base of the re-rankers that use cosines as weights."""

    excludes_any: ClassVar[bool] = True  # whether more than the query itself can be excluded

    def check_search(self, index: Index, exclusion: Exclusion) -> None:
        """Raise `BenchError` for a metric or an exclusion that is not supported."""
        if index.metric is not Metric.cosine:
            raise BenchError(
                f"rerank={self.name} needs cosines and does not support "
                f"index.metric={index.metric.value}; use index.metric=cosine or rerank=none"
            )
        if not self.excludes_any and exclusion.largest and exclusion.items is None:
            raise BenchError(
                f"rerank={self.name} can exclude the query itself from the gallery, but not other "
                "images; use rerank=alpha_qe, diffusion, collaborative_filtering or none"
            )

    def check_at_least(self, minimum: float, *options: str) -> None:
        """Raise `BenchError` for the first option that is below `minimum` or not finite."""
        for option in options:
            value = getattr(self, option)
            if value is not None and not minimum <= value < np.inf:
                raise BenchError(f"rerank.{option}={value}: at least {minimum:g}")


@dataclass
class ShortlistRerank(CosineRerank):
    """Base of the re-rankers that reorder the first hits of each query.

    Parameters
    ----------
    shortlist : int or None
        Number of hits per query that are reordered, at most `Exclusion.max_depth`; None: as many.
    """

    shortlist: int | None = 200

    def check_search(self, index: Index, exclusion: Exclusion) -> None:
        """Raise `BenchError` also if so many images are excluded that the graph is too large."""
        super().check_search(index, exclusion)
        nbytes = NEIGHBOR_BYTES * len(exclusion.gallery_keys) * exclusion.largest
        if nbytes > total_memory() / 2:
            raise BenchError(
                f"rerank={self.name} needs the neighbors of every image that remain without those "
                f"of a query, of which there are up to {exclusion.largest:,}: a graph of "
                f"{format_bytes(nbytes)}; use rerank=alpha_qe or none"
            )

    def scorer(self, search: VectorSearch, excluded: int) -> Scorer:
        """Precompute what depends only on the gallery, and return a scorer of hits.

        At most `excluded` items are excluded for a query.

        Returns
        -------
        callable
            Given queries of unit length, shape (b, d), their hits, shape (b, m), nearest first, the
            cosines of these, and the exclusion of these queries, which must not affect the scores:
            new similarities of the first hits, shape (b, at most m). The others retain their order.
        """
        raise NotImplementedError

    @property
    def required_hits(self) -> int:
        """Number of hits that a query needs, even if they are not reordered."""
        return 0

    def rank_blocks(
        self, search: VectorSearch, queries: FloatArray, depth: int, *, exclusion: Exclusion
    ) -> RankedBlocks:
        """Rank the gallery, and reorder the first hits; see `Rerank.rank_blocks`."""
        max_depth, excluded = exclusion.max_depth, exclusion.largest
        if max_depth == 0:
            return search.rank_blocks(queries, depth, exclusion=exclusion)
        scorer = search.once(f"{self} {excluded}", lambda: self.scorer(search, excluded))
        limit = max_depth if self.shortlist is None else min(self.shortlist, max_depth)
        hits = min(max(limit, self.required_hits), max_depth)
        deep = max(depth, hits)

        def rank_block(rows: IntArray) -> Ranking:
            ranking = search.rank(queries[rows], deep, exclusion=exclusion.take(rows))
            with search.meter.stage("search"), search.meter.stage("rerank"):
                block = search.prepare(queries[rows])
                ranking, cosines = rescore_by_cosine(search, block, ranking, hits)
                similarities = np.empty((len(rows), limit), dtype=np.float32)
                size = max(1, SCORED_ITEMS // hits)
                starts = range(0, len(rows), size)
                for start in track(starts, stage="rerank", total=len(starts), unit="blocks"):
                    part = slice(start, start + size)
                    similarities[part] = scorer(
                        block[part],
                        ranking.indices[part, :hits],
                        cosines[part],
                        exclusion.take(rows[part]),
                    )[:, :limit]
                return reorder(ranking, similarities)

        return rank_in_blocks(rank_block, np.arange(len(queries)), deep=deep)


def rescore_by_cosine(
    search: VectorSearch, queries: FloatArray, ranking: Ranking, hits: int
) -> tuple[Ranking, FloatArray]:
    """Recompute the cosines of the first hits, and sort the hits by them.

    These cosines, shape (b, hits), depend only on query and item. The scores of an index are
    rounded depending on the rest of the block, and some indexes return other scores.
    """
    positions = ranking.indices[:, :hits]
    cosines = pair_similarities(queries, search.gallery, positions)
    positions, cosines = sorted_with_ties(positions, cosines, search.order)
    indices = np.concatenate([positions, ranking.indices[:, hits:]], axis=1)
    scores = np.concatenate([cosines, ranking.scores[:, hits:]], axis=1)
    return Ranking(indices, np.minimum.accumulate(scores, axis=1)), cosines


def rank_in_blocks(
    rank: Callable[[IntArray], Ranking], rows: IntArray, *, deep: int
) -> RankedBlocks:
    """Rank queries in blocks that limit the memory of rankings of depth `deep`.

    `rank` ranks the queries at some positions, which it is given in the order of `rows`.
    """
    size = max(64, BLOCK_ITEMS // max(1, deep))
    starts = range(0, len(rows), size)
    for start in track(starts, stage="search", total=len(starts), unit="blocks"):
        block = rows[start : start + size]
        yield block, rank(block)
