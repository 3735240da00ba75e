"""From query and gallery vectors to a `Ranking`: normalize, build, search, settle ties."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from outliers_bench.retrieval.indexes.cache import build_or_load
from outliers_bench.retrieval.indexes.index import Index, Metric, Searcher
from outliers_bench.retrieval.normalize import l2_normalize
from outliers_bench.retrieval.ties import rescore_close_pairs, drop_self, sort_with_ties
from outliers_bench.runtime.meter import Meter
from outliers_bench.runtime.progress import track
from outliers_bench.types import BoolArray, FloatArray, IntArray, Ranking

BLOCK_ITEMS = 2_000_000  # gallery items found at a time, over all queries of a block


def tie_order(digests: Sequence[bytes], seed: int) -> IntArray:
    """An order of the gallery that neither file names nor labels decide.

    Files come sorted by class, so an index that breaks ties by position would leak the label.

    Parameters
    ----------
    digests : sequence of bytes
        Content digest of each gallery image.
    seed : int

    Returns
    -------
    array of int64, shape (n,)
        A permutation of the gallery's positions.
    """
    key = seed.to_bytes(8, "little", signed=True)
    hashes = [hashlib.blake2b(digest, key=key, digest_size=8).digest() for digest in digests]
    return np.argsort(np.frombuffer(b"".join(hashes), dtype=">u8"), kind="stable")


class GallerySearch:
    """A gallery that any vectors can be compared with.

    Beside the gallery that it is given, an exact search holds one copy, in the order of ties and
    normalized where the metric is cosine: what is compared. An approximate one holds its index
    instead. `gallery` is another copy, made for those who ask for it, and only by cosine.

    Parameters
    ----------
    gallery : array of float32, shape (n, d)
        Normalized here where the metric is cosine.
    index : Index
        What searches, and by which metric. Built when it is first needed.
    order : array of int64, shape (n,)
        Permutation of the gallery: of equal scores, the one that comes first in it wins.
    leave_one_out : bool
        Whether query i is gallery item i, to be left out of its own ranking by identity.
    cache : Path, optional
        Where what takes long to make is kept between runs.
    meter : Meter, optional
        Takes down the time of building and searching, and the index' size.

    Attributes
    ----------
    active : Search
        What was made last by `with_gallery`; by itself, this.
    """

    def __init__(
        self,
        gallery: FloatArray,
        *,
        index: Index,
        order: IntArray,
        leave_one_out: bool = False,
        cache: Path | None = None,
        meter: Meter | None = None,
    ) -> None:
        self.index = index
        self.order = order
        self.leave_one_out = leave_one_out
        self.cache = cache
        self.meter = meter or Meter()
        self.active: GallerySearch = self
        self._given = gallery

    @property
    def max_depth(self) -> int:
        """The deepest that a query can be ranked."""
        return len(self._given) - int(self.leave_one_out)

    @cached_property
    def gallery(self) -> FloatArray:
        """Shape (n, d): normalized where the metric is cosine, in the gallery's own order."""
        return self.prepare(self._given)

    def prepare(self, vectors: FloatArray) -> FloatArray:
        """Vectors as the index compares them: of unit length where the metric is cosine."""
        return l2_normalize(vectors) if self.index.metric is Metric.cosine else vectors

    def items(self, positions: IntArray) -> FloatArray:
        """Gallery items at some positions, shape (m,), as the index compares them, copied."""
        if self.index.metric is Metric.cosine:
            return l2_normalize(self._given, order=positions)
        return self._given[positions]

    def with_gallery(self, gallery: FloatArray) -> GallerySearch:
        """The same search over other vectors of the same items, noted as `active`."""
        self.active = GallerySearch(
            gallery,
            index=self.index,
            order=self.order,
            leave_one_out=self.leave_one_out,
            cache=self.cache,
            meter=self.meter,
        )
        return self.active

    def rank(self, queries: FloatArray, depth: int, *, items: IntArray | None = None) -> Ranking:
        """Rank the gallery for every query.

        Parameters
        ----------
        queries : array of float32, shape (n_query, d)
            Normalized here where the metric is cosine.
        depth : int
            Length of the ranking, at most `max_depth`.
        items : array of int64, shape (n_query,), optional
            With `leave_one_out`, which gallery item each query is; without, query i is item i.

        Returns
        -------
        Ranking
        """
        queries = self.prepare(queries)
        searcher = self.searcher
        itself = None
        if self.leave_one_out:
            itself = self._places if items is None else self._places[items]
        # One more than wanted shows whether the cut falls between equal scores.
        fetch = min(depth + int(self.leave_one_out) + 1, len(self._given))
        indices = np.empty((len(queries), depth), dtype=np.int64)
        scores = np.empty((len(queries), depth), dtype=np.float32)
        searcher.search(queries[:1], 1)  # threads and caches start up outside of what is timed
        for rows in _blocks(len(queries), fetch):
            with self.meter.stage("search"):
                places, found = searcher.search(queries[rows], fetch)
            sort_with_ties(places, found)
            if self.index.exact:
                rescore_close_pairs(queries[rows], self.tie_ordered, places, found, self.index.metric)
            if itself is not None:
                places, found = drop_self(places, found, places == itself[rows][:, None])
            indices[rows], scores[rows] = self.order[places[:, :depth]], found[:, :depth]
        return Ranking(indices, scores)

    @cached_property
    def searcher(self) -> Searcher:
        """The index, built or, where it was kept, read."""
        return build_or_load(self.index, lambda: self.tie_ordered, cache=self.cache, meter=self.meter)

    @property
    def tie_ordered(self) -> FloatArray:
        """The gallery as it is compared, in `order`, so that no index can see that of files.

        Kept by an exact search, which compares with it; made anew for others.
        """
        return self._ordered if self.index.exact else self.items(self.order)

    @cached_property
    def _ordered(self) -> FloatArray:
        return self.items(self.order)

    @cached_property
    def _places(self) -> IntArray:
        """Where each gallery item stands in `order`."""
        places = np.empty(len(self.order), dtype=np.int64)
        places[self.order] = np.arange(len(self.order))
        return places


def put_blanks_last(
    ranking: Ranking,
    blank_queries: BoolArray,
    blank_gallery: BoolArray,
    order: IntArray,
    *,
    leave_one_out: bool = False,
) -> Ranking:
    """Let nothing be found by, or ahead of others, that has nothing to compare.

    A vector of zeros is near or far by convention only, and after a PCA not even that.

    Parameters
    ----------
    ranking : Ranking
        By vectors, those of blank images included.
    blank_queries : array of bool, shape (n_query,)
        Queries without content: their ranking becomes the tie order, with scores of 0.
    blank_gallery : array of bool, shape (n,)
        Gallery images without content: they come after all others found, with a score of 0, or of
        the last one before them where that is below 0.
    order : array of int64, shape (n,)
        Permutation of the gallery that settles ties.
    leave_one_out : bool
        Whether query i is gallery item i.

    Returns
    -------
    Ranking
    """
    blank = blank_gallery[ranking.indices]
    moved = np.argsort(blank, axis=1, kind="stable")
    indices = np.take_along_axis(ranking.indices, moved, axis=1)
    scores = np.take_along_axis(ranking.scores, moved, axis=1)
    blank = np.take_along_axis(blank, moved, axis=1)
    lowest = np.where(blank, np.float32(np.inf), scores).min(axis=1, initial=0.0)
    scores = np.where(blank, lowest[:, None], scores).astype(np.float32)
    for row in np.flatnonzero(blank_queries):
        others = order[order != row] if leave_one_out else order
        indices[row] = others[: ranking.depth]
        scores[row] = 0
    return Ranking(indices, scores)


def _blocks(n_query: int, fetch: int) -> Iterator[slice]:
    """Slices of queries, so that what is sorted at a time stays small; shown as progress."""
    size = max(64, BLOCK_ITEMS // fetch)
    starts = range(0, n_query, size)
    for start in track(starts, stage="search", total=len(starts), unit="blocks"):
        yield slice(start, min(start + size, n_query))
