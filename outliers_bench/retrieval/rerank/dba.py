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
from outliers_bench.retrieval.rerank.alpha_qe import weighted_sums
from outliers_bench.retrieval.rerank.shortlist import BLOCK_ITEMS, CosineRerank, check_only_itself
from outliers_bench.retrieval.ties import PAIR_VALUES, sorted_with_ties
from outliers_bench.types import Exclusion, FloatArray, IntArray, Ranking

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
        """Raise `BenchError` for leave-one-out with an approximate index.

        See `Rerank.check_search`.
        """
        super().check_search(index, exclusion)
        check_only_itself(self, exclusion)
        if exclusion.largest and not index.exact:
            raise BenchError(
                f"rerank={self.name} with data.protocol=leave_one_out compares some photos "
                f"exhaustively, which would hide the errors of index={index.name}; use index=exact"
            )

    def rank(
        self,
        search: VectorSearch,
        queries: FloatArray,
        depth: int,
        *,
        exclusion: Exclusion | None = None,
    ) -> Ranking:
        """Rank the augmented gallery for every query; see `Rerank.rank`."""
        exclusion = exclusion or Exclusion.nothing(len(queries), len(search))
        self.check_search(search.index, exclusion)
        excluded = exclusion.largest
        graph, augmented_search = search.once(
            f"{self} {excluded}", lambda: self._prepare(search, excluded)
        )
        if not exclusion.largest:
            return augmented_search.rank(queries, depth)
        return self._rank_leave_one_out(
            augmented_search, search, graph, queries, depth, exclusion=exclusion
        )

    def _prepare(self, search: VectorSearch, excluded: int) -> tuple[NeighborGraph, VectorSearch]:
        graph = build_or_load_graph(search, self.k + excluded)
        all_items = np.arange(len(search.gallery))
        with search.meter.stage("graph"):
            augmented = self._augment(search.gallery, all_items, *graph.nearest(all_items, self.k))
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

    def _rank_leave_one_out(
        self,
        augmented_search: VectorSearch,
        search: VectorSearch,
        graph: NeighborGraph,
        queries: FloatArray,
        depth: int,
        *,
        exclusion: Exclusion,
    ) -> Ranking:
        """Rank for queries that are gallery items as if they had never been in the gallery.

        Items that it has been added to are removed from its ranking and scored again without it.
        Their number is known, so the first ranking is that much deeper.
        """
        n = len(search.gallery)
        lists = graph.positions[:, : self.k]
        added_to = np.repeat(np.arange(n), lists.shape[1])[np.argsort(lists, axis=None)]
        counts = np.bincount(lists.ravel(), minlength=n)
        starts = np.concatenate([[0], np.cumsum(counts)])
        indices = np.empty((len(queries), depth), dtype=np.int64)
        scores = np.empty((len(queries), depth), dtype=np.float32)
        items = np.arange(n) if exclusion.items is None else exclusion.items
        # Grouped by the number of lists: hubs, which are in thousands, need deeper rankings.
        for rows in _group_by_count(counts[items], depth):
            deep = min(depth + int(counts[items[rows]].max()), exclusion.max_depth)
            of_rows = exclusion.take(rows)
            ranking = augmented_search.rank(queries[rows], deep, exclusion=of_rows)
            with search.meter.stage("search"), search.meter.stage("rerank"):
                affected = [added_to[starts[item] : starts[item + 1]] for item in items[rows]]
                new_scores = self._rescore_without(
                    search, graph, queries[rows], affected, exclusion=of_rows
                )
                merged = _merge(ranking, affected, new_scores, search.order)
                indices[rows], scores[rows] = (part[:, :depth] for part in merged)
        return Ranking(indices, scores)

    def _rescore_without(
        self,
        search: VectorSearch,
        graph: NeighborGraph,
        queries: FloatArray,
        affected: list[IntArray],
        *,
        exclusion: Exclusion,
    ) -> FloatArray:
        """Compute cosines of queries with affected items, augmented without the query."""
        rows = np.repeat(np.arange(len(queries)), [len(part) for part in affected])
        targets = np.concatenate(affected)
        prepared = search.prepare(queries)
        cosines = np.empty(len(rows), dtype=np.float32)
        size = max(1, PAIR_VALUES // search.gallery.shape[1])
        for start in range(0, len(rows), size):
            part = slice(start, start + size)
            near = graph.nearest(targets[part], self.k, exclusion=exclusion.take(rows[part]))
            augmented = l2_normalize(self._augment(search.gallery, targets[part], *near))
            cosines[part] = np.einsum("pd,pd->p", augmented, prepared[rows[part]])
        return cosines


def _group_by_count(counts: IntArray, depth: int) -> list[IntArray]:
    """Group items by the number of lists they are in, in blocks that limit memory."""
    by_count, groups, start = np.argsort(counts, kind="stable"), [], 0
    while start < len(by_count):
        size = max(64, BLOCK_ITEMS // max(1, depth + int(counts[by_count[start]])))
        # The last item has the largest count: halve the block until its depth fits.
        while size > 64:
            last = by_count[min(start + size, len(by_count)) - 1]
            if size * (depth + int(counts[last])) <= 2 * BLOCK_ITEMS:
                break
            size //= 2
        groups.append(by_count[start : start + size])
        start += size
    return groups


def _merge(
    ranking: Ranking, affected: list[IntArray], new_scores: FloatArray, order: IntArray
) -> tuple[IntArray, FloatArray]:
    """Replace the scores of the affected items of each query, and sort again."""
    n, width = len(order), max(len(part) for part in affected)
    rows = np.repeat(np.arange(len(affected)), [len(part) for part in affected])
    columns = np.concatenate([np.arange(len(part)) for part in affected])
    items = np.zeros((len(affected), width), dtype=np.int64)
    scores = np.full((len(affected), width), -np.inf, dtype=np.float32)
    items[rows, columns], scores[rows, columns] = np.concatenate(affected), new_scores
    is_stale = np.isin(
        ranking.indices + n * np.arange(len(affected))[:, None],
        np.concatenate(affected) + n * rows,
    )
    remaining = np.where(is_stale, np.float32(-np.inf), ranking.scores)
    return sorted_with_ties(
        np.concatenate([ranking.indices, items], axis=1),
        np.concatenate([remaining, scores], axis=1),
        order,
    )
