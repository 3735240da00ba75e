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
from outliers_bench.retrieval.remainder import Rescored, append_remainder
from outliers_bench.retrieval.ties import drop_excluded, rescore_close_pairs, sort_with_ties
from outliers_bench.runtime.meter import Meter
from outliers_bench.runtime.progress import track
from outliers_bench.types import (
    Exclusion,
    FloatArray,
    IntArray,
    RankedBlocks,
    Ranking,
    join_blocks,
)

T = TypeVar("T")

BLOCK_ITEMS = 2_000_000  # results per block, over all its queries
_MIN_ROWS = 64  # queries per block, at least


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
    order, normalized for the cosine. An approximate search stores its index instead, and that copy
    only once a ranking is completed. `gallery` is another copy, created on first access, and only
    for the cosine.

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
            Length of the ranking; a query that has fewer images left has a row that ends with -1.
        exclusion : Exclusion
        """
        blocks = self.rank_blocks(queries, depth, exclusion=exclusion)
        return join_blocks(blocks, len(queries), depth)

    def rank_blocks(
        self, queries: FloatArray, depth: int, *, exclusion: Exclusion, full: bool = False
    ) -> RankedBlocks:
        """Rank the gallery for every query, one block of queries at a time; see `rank`.

        With `full`, the images beyond `depth` follow, outside of the timing; see `complete_blocks`.
        """
        queries = self.prepare(queries)
        searcher = self.searcher
        # One extra result shows whether the last rank is tied.
        fetch = min(depth + exclusion.largest + 1, len(self))
        searcher.search(queries[:1], 1)  # warm-up: threads and caches start outside of the timing
        for rows in _blocks(len(queries), fetch):
            block, of_block = queries[rows], exclusion.take(rows)
            with self.meter.stage("search"):
                positions, found_scores = searcher.search(block, fetch)
            sort_with_ties(positions, found_scores)
            if self.index.uncompressed:
                rescore_close_pairs(
                    block,
                    self._tie_ordered_at,
                    positions,
                    found_scores,
                    self.index.metric,
                    n=len(self),
                    exhaustive=self.index.exact,
                )
            items = self.order[positions]
            if of_block.largest:
                excluded = of_block.mask(slice(None), items)
                items, found_scores = drop_excluded(items, found_scores, excluded, depth)
            ranking = Ranking(items[:, :depth], found_scores[:, :depth])
            if full:
                at = np.arange(rows.start, rows.stop)
                yield from self.complete_blocks(at, ranking, block, exclusion=of_block)
            else:
                yield rows, ranking

    def complete_blocks(
        self,
        rows: IntArray,
        ranking: Ranking,
        queries: FloatArray,
        *,
        exclusion: Exclusion,
        rescored: Rescored | None = None,
    ) -> RankedBlocks:
        """Append to rankings all other gallery images, by exhaustive comparison.

        Parameters
        ----------
        rows : array of int64, shape (b,)
            Numbers of the queries, which are returned with their rankings.
        ranking : Ranking
            First results of these queries.
        queries : array of float32, shape (b, d)
            Prepared; see `prepare`.
        exclusion : Exclusion
            Excluded images of these queries.
        rescored : Rescored, optional
            Scores that replace those of the comparison.
        """
        if ranking.depth == len(self):
            yield rows, ranking
            return
        size = max(_MIN_ROWS, BLOCK_ITEMS // len(self))
        for start in range(0, len(rows), size):
            part = slice(start, start + size)
            with self.meter.stage("remainder"):
                completed = append_remainder(
                    Ranking(ranking.indices[part], ranking.scores[part]),
                    queries[part],
                    self._stored_tie_ordered,
                    self.order,
                    self.index.metric,
                    exclusion=exclusion.take(part),
                    rescored=None if rescored is None else rescored.take(part, len(rows)),
                )
            yield rows[part], completed

    def _tie_ordered_at(self, positions: IntArray) -> FloatArray:
        """Return prepared gallery vectors at some positions of the order."""
        if self.index.exact:
            return self._stored_tie_ordered[positions]
        return self.vectors_at(self.order[positions])

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


def _blocks(n_query: int, fetch: int) -> Iterator[slice]:
    """Yield slices of queries that limit the memory of a block; report progress."""
    size = max(_MIN_ROWS, BLOCK_ITEMS // max(1, fetch))
    starts = range(0, n_query, size)
    for start in track(starts, stage="search", total=len(starts), unit="blocks"):
        yield slice(start, min(start + size, n_query))
