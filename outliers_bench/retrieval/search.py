"""From query and gallery vectors to a `Ranking`: normalise, build, search, settle ties."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np

from outliers_bench.measure import Meter
from outliers_bench.progress import track
from outliers_bench.retrieval.index import Index, Metric
from outliers_bench.retrieval.normalise import l2_normalise
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


def rank(
    queries: FloatArray,
    gallery: FloatArray,
    *,
    index: Index,
    depth: int,
    order: IntArray,
    leave_one_out: bool = False,
    meter: Meter | None = None,
) -> Ranking:
    """Rank the gallery for every query.

    Parameters
    ----------
    queries : array of float32, shape (n_query, d)
    gallery : array of float32, shape (n, d)
    index : Index
        What searches, and by which metric.
    depth : int
        Length of the ranking, at most n (n - 1 where `leave_one_out`).
    order : array of int64, shape (n,)
        Permutation of the gallery: of equal scores, the one that comes first in it wins.
    leave_one_out : bool
        Whether query i is gallery item i, to be left out of its own ranking by identity.
    meter : Meter, optional
        Takes down the time of building and searching, and the index' size.

    Returns
    -------
    Ranking
    """
    meter = meter or Meter()
    if index.metric is Metric.cosine:
        queries, gallery = l2_normalise(queries), l2_normalise(gallery)
    with meter.stage("index"):
        shuffled = gallery[order]
        searcher = index.build(shuffled)
    meter.index_bytes = searcher.nbytes
    itself = np.empty(len(order), dtype=np.int64)
    itself[order] = np.arange(len(order))
    # One more than wanted shows whether the cut falls between equal scores.
    fetch = min(depth + int(leave_one_out) + 1, len(gallery))
    indices = np.empty((len(queries), depth), dtype=np.int64)
    scores = np.empty((len(queries), depth), dtype=np.float32)
    searcher.search(queries[:1], 1)  # threads and caches start up outside of what is timed
    for rows in _blocks(len(queries), fetch):
        with meter.stage("search"):
            places, found = searcher.search(queries[rows], fetch)
        places, found = _settle(places, found)
        for row in _tied_at_cut(found, len(gallery)):
            everything = _compare(queries[rows][row], shuffled, index.metric)
            best = np.lexsort((np.arange(len(gallery)), -everything))[:fetch]
            places[row], found[row] = best, everything[best]
        if leave_one_out:
            places, found = _drop(places, found, itself[rows])
        indices[rows], scores[rows] = order[places[:, :depth]], found[:, :depth]
    return Ranking(indices, scores)


def put_blanks_last(
    ranking: Ranking, blank_queries: BoolArray, blank_gallery: BoolArray, order: IntArray
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
    place = np.argsort(order)
    for row in np.flatnonzero(blank_queries):
        indices[row] = indices[row][np.argsort(place[indices[row]])]
        scores[row] = 0
    return Ranking(indices, scores)


def _blocks(n_query: int, fetch: int) -> Iterator[slice]:
    """Slices of queries, so that what is sorted at a time stays small; shown as progress."""
    size = max(64, BLOCK_ITEMS // fetch)
    starts = range(0, n_query, size)
    for start in track(starts, stage="search", total=len(starts), unit="blocks"):
        yield slice(start, min(start + size, n_query))


def _settle(places: IntArray, scores: FloatArray) -> tuple[IntArray, FloatArray]:
    """Sort rows by falling score; equal scores by place, which is the given order."""
    by_place = np.argsort(places, axis=1, kind="stable")
    scores = np.take_along_axis(scores, by_place, axis=1)
    places = np.take_along_axis(places, by_place, axis=1)
    by_score = np.argsort(-scores, axis=1, kind="stable")
    return (
        np.take_along_axis(places, by_score, axis=1),
        np.take_along_axis(scores, by_score, axis=1),
    )


def _tied_at_cut(scores: FloatArray, n: int) -> IntArray:
    """Rows whose last two fetched scores are equal: which of the equals were fetched is chance."""
    if scores.shape[1] in (1, n):
        return np.empty(0, dtype=np.int64)
    return np.flatnonzero(scores[:, -1] == scores[:, -2])


def _compare(query: FloatArray, gallery: FloatArray, metric: Metric) -> FloatArray:
    if metric is Metric.euclidean:
        return np.asarray(-np.square(gallery - query).sum(axis=1), dtype=np.float32)
    # einsum adds up every row alike, where BLAS may treat the last rows of a block otherwise.
    return np.asarray(np.einsum("nd,d->n", gallery, query), dtype=np.float32)


def _drop(places: IntArray, scores: FloatArray, unwanted: IntArray) -> tuple[IntArray, FloatArray]:
    """Take one item out of each row; the last one where it was not found."""
    hit = places == unwanted[:, None]
    hit[~hit.any(axis=1), -1] = True
    shape = (places.shape[0], places.shape[1] - 1)
    return places[~hit].reshape(shape), scores[~hit].reshape(shape)
