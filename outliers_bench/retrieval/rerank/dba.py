"""Database-side feature augmentation: move every gallery vector toward its neighbors."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

import numpy as np

from outliers_bench.errors import BenchError
from outliers_bench.retrieval.neighbors import (
    NeighborGraph,
    build_or_load_graph,
    similarity_weights,
)
from outliers_bench.retrieval.normalize import l2_normalize
from outliers_bench.retrieval.remainder import Rescored
from outliers_bench.retrieval.rerank.alpha_qe import weighted_sums
from outliers_bench.retrieval.rerank.shortlist import (
    CosineRerank,
    compute_in_blocks,
    rows_by_value,
)
from outliers_bench.retrieval.ties import PAIR_VALUES, sorted_with_ties
from outliers_bench.types import Exclusion, FloatArray, IntArray, RankedBlocks, Ranking, ranges

if TYPE_CHECKING:
    from outliers_bench.retrieval.indexes.index import Index
    from outliers_bench.retrieval.search import VectorSearch


class Weights(Enum):
    """Weight of a neighbor: by its rank, or its cosine to the power of alpha."""

    rank = "rank"
    similarity = "similarity"


@dataclass
class DatabaseAugmentation(CosineRerank):
    """`rerank=dba`: gallery vectors become weighted sums of themselves and their neighbors.

    Parameters
    ----------
    k : int
        Number of neighbors added to each gallery vector.
    weights : Weights
        With `rank`, the r-th of k neighbors has weight (k + 1 - r) / (k + 1), the item itself 1.
    alpha : float
        With `similarity`, a neighbor has weight max(s, 0)^alpha; otherwise without effect.

    References
    ----------
    P. Turcot, D. Lowe, "Better matching with fewer features: the selection of useful features in
    large database recognition problems", ICCV Workshops 2009.
    A. Gordo, J. Almazán, J. Revaud, D. Larlus, "End-to-end learning of deep visual
    representations for image retrieval", IJCV 124, 2017.
    """

    name: str = "dba"
    k: int = 10
    weights: Weights = Weights.rank
    alpha: float = 3.0

    def check(self) -> None:
        """Raise `BenchError` for invalid options."""
        self.check_at_least(1, "k")
        self.check_at_least(0, "alpha")

    def check_search(self, index: Index, exclusion: Exclusion) -> None:
        """Raise `BenchError` also for excluded images with an approximate index."""
        super().check_search(index, exclusion)
        if exclusion.largest and not index.exact:
            raise BenchError(
                f"rerank={self.name} without images of the gallery (data.protocol=leave_one_out, "
                "data.exclude_same) compares some photos exhaustively, which would hide the errors "
                f"of index={index.name}; use index=exact"
            )

    def rank_blocks(
        self,
        search: VectorSearch,
        queries: FloatArray,
        depth: int,
        *,
        exclusion: Exclusion,
        full: bool = False,
    ) -> RankedBlocks:
        """Rank the augmented gallery for every query; see `Rerank.rank_blocks`."""
        excluded = exclusion.largest
        graph, augmented_search = search.once(
            f"{self} {excluded}", lambda: self._prepare(search, excluded)
        )
        if not excluded:
            yield from augmented_search.rank_blocks(queries, depth, exclusion=exclusion, full=full)
            return
        for _, rows in rows_by_value(exclusion.counts):
            blocks = self._rank_without(
                augmented_search,
                search,
                graph,
                queries[rows],
                depth,
                exclusion=exclusion.take(rows),
                full=full,
            )
            for part, ranking in blocks:
                yield rows[part], ranking

    def _prepare(self, search: VectorSearch, excluded: int) -> tuple[NeighborGraph, VectorSearch]:
        graph = build_or_load_graph(search, self.k + excluded)
        all_items = np.arange(len(search.gallery))
        with search.meter.stage("graph"):
            near = graph.positions[:, : self.k], graph.similarities[:, : self.k]
            augmented = self._augment(search.gallery, all_items, *near)
        return graph, search.with_gallery(augmented)

    def _augment(
        self, gallery: FloatArray, items: IntArray, positions: IntArray, similarities: FloatArray
    ) -> FloatArray:
        """Add to items, shape (b,), their weighted neighbors, shape (b, k); not normalized."""
        if self.weights is Weights.similarity:
            weights = similarity_weights(similarities, self.alpha)
        else:
            by_rank = np.arange(self.k, 0, -1) / (self.k + 1)
            weights = np.broadcast_to(by_rank[: positions.shape[1]], positions.shape)
        sums = weighted_sums(gallery, positions, weights.astype(np.float32))
        return np.asarray(gallery[items] + sums, dtype=np.float32)

    def _rank_without(
        self,
        augmented_search: VectorSearch,
        search: VectorSearch,
        graph: NeighborGraph,
        queries: FloatArray,
        depth: int,
        *,
        exclusion: Exclusion,
        full: bool,
    ) -> RankedBlocks:
        """Rank for queries as if their excluded images, equally many, were not in the gallery.

        Items that excluded ones have been added to are removed from a ranking and scored again
        without them. Their number is known, so the first ranking is that much deeper.
        """
        n = len(search.gallery)
        lists = graph.positions[:, : self.k]
        added_to = np.repeat(np.arange(n), lists.shape[1])[np.argsort(lists, axis=None)]
        counts = np.bincount(lists.ravel(), minlength=n)
        starts = np.cumsum(counts) - counts

        def rank_block(rows: IntArray) -> tuple[Ranking, Rescored]:
            of_block = exclusion.take(rows)
            with search.meter.stage("search"), search.meter.stage("rerank"):
                row, item = of_block.images()
                affected = added_to[ranges(starts[item], counts[item])]
                row, target = np.divmod(np.unique(np.repeat(row, counts[item]) * n + affected), n)
                remains = ~of_block.mask(row, target[:, None])[:, 0]
                pairs = row[remains], target[remains]
                deep = depth + int(np.bincount(pairs[0], minlength=1).max())
            deep = min(deep, max(depth, int(of_block.available[0])))
            ranking = augmented_search.rank(queries[rows], deep, exclusion=of_block)
            with search.meter.stage("search"), search.meter.stage("rerank"):
                rescored = self._rescore(search, graph, queries[rows], pairs, exclusion=of_block)
                indices, scores = _merge(ranking, rescored, search.order)
            return Ranking(indices[:, :depth], scores[:, :depth]), rescored

        # Sorted by the number of lists: hubs, which are in thousands, need deeper rankings.
        row, item = exclusion.images()
        by_query = np.bincount(row, counts[item], minlength=len(queries))
        by_count = np.argsort(by_query, kind="stable")
        deepest = min(depth + int(by_query.max(initial=0)), n)
        for rows, (ranking, rescored) in compute_in_blocks(rank_block, by_count, deep=deepest):
            if not full:
                yield rows, ranking
                continue
            block, of_block = augmented_search.prepare(queries[rows]), exclusion.take(rows)
            yield from augmented_search.complete_blocks(
                rows, ranking, block, exclusion=of_block, rescored=rescored
            )

    def _rescore(
        self,
        search: VectorSearch,
        graph: NeighborGraph,
        queries: FloatArray,
        pairs: tuple[IntArray, IntArray],
        *,
        exclusion: Exclusion,
    ) -> Rescored:
        """Compute cosines of pairs of queries and items augmented without excluded images."""
        rows, targets = pairs
        prepared = search.prepare(queries)
        cosines = np.empty(len(rows), dtype=np.float32)
        size = max(1, PAIR_VALUES // search.gallery.shape[1])
        for start in range(0, len(rows), size):
            part = slice(start, start + size)
            near = graph.nearest(targets[part], self.k, exclusion=exclusion.take(rows[part]))
            augmented = l2_normalize(self._augment(search.gallery, targets[part], *near))
            cosines[part] = np.einsum("pd,pd->p", augmented, prepared[rows[part]])
        return Rescored(rows, targets, cosines)


def _merge(ranking: Ranking, rescored: Rescored, order: IntArray) -> tuple[IntArray, FloatArray]:
    """Replace the scores of the affected items of each query, and sort again."""
    n, n_query = len(order), len(ranking.indices)
    counts = np.bincount(rescored.rows, minlength=n_query)
    starts = np.cumsum(counts) - counts
    columns = np.arange(len(rescored.rows)) - starts[rescored.rows]
    items = np.zeros((n_query, int(counts.max(initial=0))), dtype=np.int64)
    scores = np.full(items.shape, -np.inf, dtype=np.float32)
    items[rescored.rows, columns] = rescored.items
    scores[rescored.rows, columns] = rescored.scores
    is_stale = np.isin(
        ranking.indices + n * np.arange(n_query)[:, None], rescored.items + n * rescored.rows
    )
    remaining = np.where(is_stale, np.float32(-np.inf), ranking.scores)
    indices, scores = sorted_with_ties(
        np.concatenate([ranking.indices, items], axis=1),
        np.concatenate([remaining, scores], axis=1),
        order,
    )
    return np.where(np.isneginf(scores), -1, indices), scores
