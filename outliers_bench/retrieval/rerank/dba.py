"""Database-side augmentation: every gallery vector moved toward its neighbors, once."""

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
from outliers_bench.retrieval.rerank.shortlist import BLOCK_ITEMS, CosineRerank
from outliers_bench.retrieval.ties import PAIR_VALUES, sorted_with_ties
from outliers_bench.types import FloatArray, IntArray, Ranking

if TYPE_CHECKING:
    from outliers_bench.retrieval.indexes.index import Index
    from outliers_bench.retrieval.search import GallerySearch


class Weights(Enum):
    """How a neighbor counts: by its rank, or by its cosine to the power of alpha."""

    rank = "rank"
    similarity = "similarity"


@dataclass
class DatabaseAugmentation(CosineRerank):
    """`rerank=dba`: gallery vectors become weighted sums of themselves and their neighbors.

    Parameters
    ----------
    k : int
        Neighbors that are added to each gallery vector.
    weights : Weights
        With `rank`, the r-th of k neighbors counts (k + 1 - r) / (k + 1), the item itself 1.
    alpha : float
        With `similarity`, a neighbor counts max(s, 0)^alpha; without effect otherwise.

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
        """Raise `BenchError` for options that cannot work."""
        self.check_at_least(1, "k")
        self.check_at_least(0, "alpha")

    def check_search(self, index: Index, *, leave_one_out: bool) -> None:
        """Refuse what would show what an index has missed; see `Rerank.check_search`."""
        super().check_search(index, leave_one_out=leave_one_out)
        if leave_one_out and not index.exact:
            raise BenchError(
                f"rerank={self.name} with data.protocol=leave_one_out compares some photos anew, "
                f"which would hide what index={index.name} misses; use index=exact"
            )

    def rank(self, search: GallerySearch, queries: FloatArray, depth: int) -> Ranking:
        """Rank the augmented gallery for every query; see `Rerank.rank`."""
        self.check_metric(search.index.metric)
        graph = build_or_load_graph(search, self.k + int(search.leave_one_out))
        everything = np.arange(len(search.gallery))
        with search.meter.stage("graph"):
            augmented = self._augment(
                search.gallery, everything, *graph.nearest(everything, self.k)
            )
        over = search.with_gallery(augmented)
        if not search.leave_one_out:
            return over.rank(queries, depth)
        return self._rank_leave_one_out(over, search, graph, queries, depth)

    def _augment(
        self, gallery: FloatArray, items: IntArray, positions: IntArray, similarities: FloatArray
    ) -> FloatArray:
        """Sums of items, shape (b,), and their neighbors, shape (b, k); not normalized."""
        if self.weights is Weights.similarity:
            weights = similarity_weights(similarities, self.alpha)
        else:
            falling = np.arange(self.k, 0, -1) / (self.k + 1)
            weights = np.broadcast_to(falling[: positions.shape[1]], positions.shape)
        summed = weighted_sums(gallery, positions, weights.astype(np.float32))
        return np.asarray(gallery[items] + summed, dtype=np.float32)

    def _rank_leave_one_out(
        self,
        over: GallerySearch,
        search: GallerySearch,
        graph: NeighborGraph,
        queries: FloatArray,
        depth: int,
    ) -> Ranking:
        """Rank for every item as if it had never been in the gallery.

        Where it is mixed into others, those are dropped and compared again without it. They are
        few, and known; so many more are fetched that enough are left.
        """
        n = len(search.gallery)
        lists = graph.positions[:, : self.k]
        mixed_into = np.repeat(np.arange(n), lists.shape[1])[np.argsort(lists, axis=None)]
        counts = np.bincount(lists.ravel(), minlength=n)
        begins = np.concatenate([[0], np.cumsum(counts)])
        indices = np.empty((len(queries), depth), dtype=np.int64)
        scores = np.empty((len(queries), depth), dtype=np.float32)
        # Items of as many lists together: hubs, which stand in thousands, need deeper rankings.
        for items in _alike(counts, depth):
            most = int(counts[items].max())
            ranking = over.rank(queries[items], min(depth + most, search.max_depth), items=items)
            with search.meter.stage("search"), search.meter.stage("rerank"):
                others = [mixed_into[begins[item] : begins[item + 1]] for item in items]
                again = self._rescore_without(search, graph, queries, items, others)
                merged = _merged(ranking, others, again, search.order)
                indices[items], scores[items] = (part[:, :depth] for part in merged)
        return Ranking(indices, scores)

    def _rescore_without(
        self,
        search: GallerySearch,
        graph: NeighborGraph,
        queries: FloatArray,
        items: IntArray,
        others: list[IntArray],
    ) -> FloatArray:
        """Cosines of queries with those that they are mixed into, mixed anew without them."""
        rows = np.repeat(np.arange(len(items)), [len(other) for other in others])
        targets = np.concatenate(others)
        asked = search.prepare(queries[items])
        found = np.empty(len(rows), dtype=np.float32)
        size = max(1, PAIR_VALUES // search.gallery.shape[1])
        for start in range(0, len(rows), size):
            part = slice(start, start + size)
            near = graph.nearest(targets[part], self.k, without=items[rows[part]])
            mixed = l2_normalize(self._augment(search.gallery, targets[part], *near))
            found[part] = np.einsum("pd,pd->p", mixed, asked[rows[part]])
        return found


def _alike(counts: IntArray, depth: int) -> list[IntArray]:
    """Items by how many lists they stand in, in blocks whose rankings stay small."""
    ordered, groups, start = np.argsort(counts, kind="stable"), [], 0
    while start < len(ordered):
        size = max(64, BLOCK_ITEMS // max(1, depth + int(counts[ordered[start]])))
        # The last has the most; halved until even with its depth the block is small.
        while size > 64:
            last = ordered[min(start + size, len(ordered)) - 1]
            if size * (depth + int(counts[last])) <= 2 * BLOCK_ITEMS:
                break
            size //= 2
        groups.append(ordered[start : start + size])
        start += size
    return groups


def _merged(
    ranking: Ranking, others: list[IntArray], again: FloatArray, order: IntArray
) -> tuple[IntArray, FloatArray]:
    """A ranking in which some items of each query have other scores, and the place for those."""
    n, most = len(order), max(len(other) for other in others)
    rows = np.repeat(np.arange(len(others)), [len(other) for other in others])
    columns = np.concatenate([np.arange(len(other)) for other in others])
    items = np.zeros((len(others), most), dtype=np.int64)
    scores = np.full((len(others), most), -np.inf, dtype=np.float32)
    items[rows, columns], scores[rows, columns] = np.concatenate(others), again
    stale = np.isin(
        ranking.indices + n * np.arange(len(others))[:, None], np.concatenate(others) + n * rows
    )
    kept = np.where(stale, np.float32(-np.inf), ranking.scores)
    return sorted_with_ties(
        np.concatenate([ranking.indices, items], axis=1),
        np.concatenate([kept, scores], axis=1),
        order,
    )
