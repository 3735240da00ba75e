"""Bases of the re-rankers: those that need cosines, and those that reorder a shortlist."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, TypeAlias, TypeVar

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

T = TypeVar("T")
Scorer: TypeAlias = Callable[[FloatArray, IntArray, FloatArray, Exclusion], FloatArray]
BLOCK_ITEMS = 2_000_000  # gallery items ranked per block, over all its queries
NEIGHBOR_BYTES = 12  # position and similarity in the neighbor graph
SCORED_ITEMS = 50_000  # gallery items re-ranked per block, over all its queries


@dataclass
class CosineRerank(Rerank):
    """Base of the re-rankers that use cosines as weights."""

    needs_graph: ClassVar[bool] = True  # of more neighbors if images are excluded

    def check_search(self, index: Index, exclusion: Exclusion) -> None:
        """Raise `BenchError` for another metric, or if the graph is too large by exclusions."""
        if index.metric is not Metric.cosine:
            raise BenchError(
                f"rerank={self.name} needs cosines and does not support "
                f"index.metric={index.metric.value}; use index.metric=cosine or rerank=none"
            )
        nbytes = NEIGHBOR_BYTES * exclusion.gallery_keys.shape[1] * exclusion.largest
        if self.needs_graph and nbytes > total_memory() / 2:
            raise BenchError(
                f"rerank={self.name} needs the neighbors of every image that remain without those "
                f"of a query, of which there are up to {exclusion.largest:,}: a graph of "
                f"{format_bytes(nbytes)}; use rerank=alpha_qe or none"
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
        Number of hits per query that are reordered; None: all.
    """

    shortlist: int | None = 200

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
        self,
        search: VectorSearch,
        queries: FloatArray,
        depth: int,
        *,
        exclusion: Exclusion,
        full: bool = False,
    ) -> RankedBlocks:
        """Rank the gallery, and reorder the first hits; see `Rerank.rank_blocks`."""
        excluded, available = exclusion.largest, exclusion.available
        if not available.any():
            yield from search.rank_blocks(queries, depth, exclusion=exclusion, full=full)
            return
        scorer = search.once(f"{self} {excluded}", lambda: self.scorer(search, excluded))
        shortlist = len(search) if self.shortlist is None else self.shortlist
        wanted = np.minimum(max(shortlist, self.required_hits), available)
        for hits, same_depth in rows_by_value(wanted):
            limit = min(shortlist, hits)
            # Queries without the same images follow each other, so that they can share work.
            of_hits = same_depth[np.lexsort([same_depth, *exclusion.query_keys[:, same_depth]])]

            def rank_block(
                rows: IntArray, hits: int = hits, limit: int = limit
            ) -> tuple[Ranking, FloatArray, Ranking]:
                of_block = exclusion.take(rows)
                ranking = search.rank(queries[rows], max(depth, hits), exclusion=of_block)
                with search.meter.stage("search"), search.meter.stage("rerank"):
                    block = search.prepare(queries[rows])
                    ranking, cosines = rescore_by_cosine(search, block, ranking, hits)
                    similarities = np.empty((len(rows), limit), dtype=np.float32)
                    size = max(1, SCORED_ITEMS // max(1, hits))
                    starts = range(0, len(rows) if limit else 0, size)
                    for start in track(starts, stage="rerank", total=len(starts), unit="blocks"):
                        part = slice(start, start + size)
                        similarities[part] = scorer(
                            block[part],
                            ranking.indices[part, :hits],
                            cosines[part],
                            of_block.take(part),
                        )[:, :limit]
                    return ranking, similarities, reorder(ranking, similarities)

            deep = max(depth, hits)
            for rows, (first, similarities, reranked) in compute_in_blocks(
                rank_block, of_hits, deep=deep
            ):
                if not full:
                    yield rows, reranked
                    continue
                block, every = search.prepare(queries[rows]), np.arange(len(rows))
                blocks = search.complete_blocks(every, first, block, exclusion=exclusion.take(rows))
                for part, ranking in blocks:
                    yield rows[part], reorder(ranking, similarities[part])


def rows_by_value(values: IntArray) -> Iterator[tuple[int, IntArray]]:
    """Yield each value, shape (n,), with its rows: queries that have equally many hits."""
    for value in np.unique(values).tolist():
        yield value, np.flatnonzero(values == value)


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


def compute_in_blocks(
    compute: Callable[[IntArray], T], rows: IntArray, *, deep: int
) -> Iterator[tuple[IntArray, T]]:
    """Compute the results of queries in blocks that limit the memory of rankings of depth `deep`.

    `compute` gets the positions of some queries, in the order of `rows`.
    """
    size = max(64, BLOCK_ITEMS // max(1, deep))
    starts = range(0, len(rows), size)
    for start in track(starts, stage="search", total=len(starts), unit="blocks"):
        block = rows[start : start + size]
        yield block, compute(block)
