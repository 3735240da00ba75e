"""Search of a gallery: normalize vectors, build the index, rank, break ties."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from copy import copy
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from outliers_bench.retrieval.indexes.cache import build_or_load
from outliers_bench.retrieval.indexes.exact import Exact
from outliers_bench.retrieval.indexes.index import Index, Metric, Searcher
from outliers_bench.retrieval.normalize import l2_normalize
from outliers_bench.retrieval.ties import drop_excluded, rescore_close_pairs, sort_with_ties
from outliers_bench.runtime.meter import Meter
from outliers_bench.runtime.progress import track
from outliers_bench.types import (
    BoolArray,
    Exclusion,
    FloatArray,
    IntArray,
    RankedBlocks,
    Ranking,
    join_blocks,
)

T = TypeVar("T")

BLOCK_ITEMS = 2_000_000  # results per block, over all its queries


def tie_order(digests: Sequence[bytes], seed: int) -> IntArray:
    """Permute a gallery, given the digests of its images, as the order that breaks ties.

    It is independent of file names and labels: files are sorted by class, so breaking ties by
    position would leak the label.
    """
    key = seed.to_bytes(8, "little", signed=True)
    hashes = [hashlib.blake2b(digest, key=key, digest_size=8).digest() for digest in digests]
    return np.argsort(np.frombuffer(b"".join(hashes), dtype=">u8"), kind="stable")


class VectorSearch:
    """Search of vectors by any query vectors.

    In addition to the given gallery, an exact search stores one copy: the vectors in tie-breaking
    order, normalized for the cosine. An approximate search stores its index instead. `gallery` is
    another copy, created on first access, and only for the cosine.

    Parameters
    ----------
    gallery : array of float32, shape (n, d)
        Normalized here if the metric is cosine.
    index : Index
        The index and its metric. Built on first use.
    order : array of int64, shape (n,)
        Permutation of the gallery: of equal scores, the item that is first in it ranks first.
    cache : Path, optional
        Cache directory for results that take long to compute.
    meter : Meter, optional
        Records the time of building and searching, and the size of the index.

    Attributes
    ----------
    active : VectorSearch
        The last search that `with_gallery` has created; by default, this one.
    """

    def __init__(
        self,
        gallery: FloatArray,
        *,
        index: Index,
        order: IntArray,
        cache: Path | None = None,
        meter: Meter | None = None,
    ) -> None:
        self.index = index
        self.order = order
        self.cache = cache
        self.meter = meter or Meter()
        self.active: VectorSearch = self
        self._made: dict[str, Any] = {}
        self._unscaled = gallery

    def __len__(self) -> int:
        return len(self._unscaled)

    @cached_property
    def gallery(self) -> FloatArray:
        """Gallery vectors, shape (n, d), in the given order; normalized if the metric is cosine."""
        return self.prepare(self._unscaled)

    def prepare(self, vectors: FloatArray) -> FloatArray:
        """Return vectors as the index compares them: of unit length if the metric is cosine."""
        return l2_normalize(vectors) if self.index.metric is Metric.cosine else vectors

    def vectors_at(self, positions: IntArray) -> FloatArray:
        """Return a copy of the gallery vectors at some positions, shape (m,), prepared."""
        if self.index.metric is Metric.cosine:
            return l2_normalize(self._unscaled, order=positions)
        return self._unscaled[positions]

    def once(self, name: str, make: Callable[[], T]) -> T:
        """Return what depends only on the gallery: made by the first query, reused by others."""
        if name not in self._made:
            self._made[name] = make()
        made: T = self._made[name]
        return made

    def with_gallery(self, gallery: FloatArray) -> VectorSearch:
        """Return the same search over other vectors of the same items, and make it `active`."""
        self.active = VectorSearch(
            gallery,
            index=self.index,
            order=self.order,
            cache=self.cache,
            meter=self.meter,
        )
        return self.active

    def exhaustive(self) -> VectorSearch:
        """Return an exhaustive search of the same vectors, with its own meter."""
        search = copy(self)
        search.index, search.meter = Exact(metric=self.index.metric), Meter()
        search.__dict__.pop("searcher", None)
        search.__dict__["_stored_tie_ordered"] = self.tie_ordered
        return search

    def rank(self, queries: FloatArray, depth: int, *, exclusion: Exclusion) -> Ranking:
        """Rank the gallery for every query.

        Parameters
        ----------
        queries : array of float32, shape (n_query, d)
            Normalized here if the metric is cosine.
        depth : int
            Length of the ranking, at most `exclusion.max_depth`.
        exclusion : Exclusion
        """
        blocks = self.rank_blocks(queries, depth, exclusion=exclusion)
        return join_blocks(blocks, len(queries), depth)

    def rank_blocks(self, queries: FloatArray, depth: int, *, exclusion: Exclusion) -> RankedBlocks:
        """Rank the gallery for every query, one block of queries at a time; see `rank`."""
        queries = self.prepare(queries)
        searcher = self.searcher
        # One extra result shows whether the last rank is tied.
        fetch = min(depth + exclusion.largest + 1, len(self))
        searcher.search(queries[:1], 1)  # warm-up: threads and caches start outside of the timing
        for rows in _blocks(len(queries), fetch):
            block = queries[rows]
            with self.meter.stage("search"):
                positions, found_scores = searcher.search(block, fetch)
            sort_with_ties(positions, found_scores)
            if self.index.exact:
                rescore_close_pairs(
                    block, self.tie_ordered, positions, found_scores, self.index.metric
                )
            items = self.order[positions]
            if exclusion.largest:
                excluded = exclusion.mask(rows, items)
                items, found_scores = drop_excluded(items, found_scores, excluded, depth)
            yield rows, Ranking(items[:, :depth], found_scores[:, :depth])

    @cached_property
    def searcher(self) -> Searcher:
        """The built index, or the one read from the cache."""
        return build_or_load(
            self.index, lambda: self.tie_ordered, cache=self.cache, meter=self.meter
        )

    @property
    def tie_ordered(self) -> FloatArray:
        """The prepared gallery in `order`, which hides the order of the files from the index.

        An exact search stores it, since it compares with it; it is created anew for others.
        """
        return self._stored_tie_ordered if self.index.exact else self.vectors_at(self.order)

    @cached_property
    def _stored_tie_ordered(self) -> FloatArray:
        return self.vectors_at(self.order)


def put_blanks_last(
    ranking: Ranking,
    blank_queries: BoolArray,
    blank_gallery: BoolArray,
    order: IntArray,
    *,
    exclusion: Exclusion,
) -> Ranking:
    """Rank blank gallery images last, and give blank queries the tie-breaking order.

    The distance to a vector of zeros is a convention, and after a PCA it is arbitrary.

    Parameters
    ----------
    ranking : Ranking
    blank_queries : array of bool, shape (n_query,)
        Queries without content: their ranking becomes `order`, with scores of 0.
    blank_gallery : array of bool, shape (n,)
        Gallery images without content: they follow all others of the ranking, with a score of 0,
        or with that of the last item before them if it is below 0.
    order : array of int64, shape (n,)
        Permutation of the gallery that breaks ties.
    exclusion : Exclusion
    """
    blank = blank_gallery[ranking.indices]
    moved = np.argsort(blank, axis=1, kind="stable")
    indices = np.take_along_axis(ranking.indices, moved, axis=1)
    scores = np.take_along_axis(ranking.scores, moved, axis=1)
    blank = np.take_along_axis(blank, moved, axis=1)
    lowest = np.where(blank, np.float32(np.inf), scores).min(axis=1, initial=0.0)
    scores = np.where(blank, lowest[:, None], scores).astype(np.float32)
    for row in np.flatnonzero(blank_queries):
        excluded = exclusion.mask(np.array([row]), order[None])[0]
        indices[row] = order[~excluded][: ranking.depth]
        scores[row] = 0
    return Ranking(indices, scores)


def _blocks(n_query: int, fetch: int) -> Iterator[slice]:
    """Yield slices of queries that limit the memory of a block; report progress."""
    size = max(64, BLOCK_ITEMS // fetch)
    starts = range(0, n_query, size)
    for start in track(starts, stage="search", total=len(starts), unit="blocks"):
        yield slice(start, min(start + size, n_query))
