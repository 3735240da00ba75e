"""Fusing rankings: what each member says of a gallery item, weighted and added up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from outliers_bench.ensemble.options import Fusion
from outliers_bench.types import FloatArray, IntArray, Ranking

Contributions = npt.NDArray[np.float64]
_BLOCK_ITEMS = 4_000_000  # contributions of one member that are looked at together


def contributions(
    ranking: Ranking,
    fusion: Fusion,
    n: int,
    *,
    reachable: int | None = None,
    rrf_k: float = 60.0,
    slope: float = 1.0,
) -> Contributions:
    """What a member's ranking says of each gallery item.

    For the hit at rank r (from 1) with score s, of d hits with mean m, deviation v, lowest l and
    highest h among the n gallery items that can be found:

    ========== ================= ==========================
    fusion     a hit             an item that was not found
    ========== ================= ==========================
    zscore     (s - m) / v       that of the lowest hit
    minmax     (s - l) / (h - l) 0
    calibrated slope · s         that of the lowest hit
    rrf        1 / (rrf_k + r)   0
    borda      n - r + 1         (n - d + 1) / 2
    ========== ================= ==========================

    Hits with the same score share the mean of their ranks. Where all hits have the same score, as
    of a photo without keypoints, the member says nothing: 0 for every item.

    Parameters
    ----------
    ranking : Ranking
        Of `n_query` queries.
    fusion : Fusion
        Any but `concat`.
    n : int
        Size of the gallery.
    reachable : int, optional
        How many of it can be found, where that is not all.
    rrf_k : float
        Of reciprocal rank fusion.
    slope : float
        Of calibration; see `ensemble.calibrate`.

    Returns
    -------
    array of float64, shape (n_query, n)

    References
    ----------
    E. Fox, J. Shaw, "Combination of Multiple Searches", TREC-2, 1994 (sums of scores).
    G. Cormack, C. Clarke, S. Büttcher, "Reciprocal Rank Fusion", SIGIR 2009.
    J. Aslam, M. Montague, "Models for Metasearch", SIGIR 2001 (Borda).
    """
    depth, reachable = ranking.depth, reachable or n
    scores = ranking.scores.astype(np.float64)
    low, high = scores[:, -1:], scores[:, :1]
    missing: Contributions | float = 0.0
    if fusion is Fusion.rrf:
        said = 1 / (rrf_k + _mean_ranks(scores))
    elif fusion is Fusion.borda:
        said = reachable + 1 - _mean_ranks(scores)
        missing = (reachable - depth + 1) / 2
    elif fusion is Fusion.calibrated:
        said = slope * scores
        missing = said[:, -1:]
    else:
        center, spread = low, high - low
        if fusion is Fusion.zscore:
            center = scores.mean(axis=1, keepdims=True)
            spread = scores.std(axis=1, keepdims=True)
        said = np.divide(scores - center, spread, out=np.zeros_like(scores), where=high > low)
        missing = said[:, -1:]
    everything = np.empty((len(scores), n))
    everything[:] = missing
    np.put_along_axis(everything, ranking.indices, said, axis=1)
    if depth > 1:
        everything[(high == low)[:, 0]] = 0
    return everything


def _mean_ranks(scores: Contributions) -> Contributions:
    """Ranks from 1 along rows of falling scores; equals share the mean of theirs."""
    depth = scores.shape[1]
    begins = np.ones(scores.shape, dtype=np.bool_)
    begins[:, 1:] = scores[:, 1:] != scores[:, :-1]
    groups = np.cumsum(begins.ravel()) - 1  # a row begins a group, so none spans two rows
    ranks = np.tile(np.arange(1, depth + 1, dtype=np.float64), len(scores))
    means = np.bincount(groups, ranks) / np.bincount(groups)
    return np.asarray(means[groups].reshape(scores.shape), dtype=np.float64)


def fuse(
    rankings: Sequence[Ranking],
    weights: Sequence[float],
    *,
    fusion: Fusion,
    depth: int,
    order: IntArray,
    rrf_k: float = 60.0,
    slopes: Sequence[float] | None = None,
    leave_one_out: bool = False,
) -> Ranking:
    """Rank by the weighted sum of what all members say.

    Parameters
    ----------
    rankings : sequence of Ranking
        Each member's, of the same queries; as deep as they like.
    weights : sequence of float
        One a member.
    fusion : Fusion
        Any but `concat`.
    depth : int
        Length of the ranking, at most n (n - 1 where `leave_one_out`).
    order : array of int64, shape (n,)
        Permutation of the gallery: of equal sums, the one that comes first in it wins.
    rrf_k : float
        Of reciprocal rank fusion.
    slopes : sequence of float, optional
        Of calibration, one a member.
    leave_one_out : bool
        Whether query i is gallery item i, to be left out of its own ranking.

    Returns
    -------
    Ranking
    """
    n, n_query = len(order), len(rankings[0].indices)
    slopes = slopes or [1.0] * len(rankings)
    indices = np.empty((n_query, depth), dtype=np.int64)
    scores = np.empty((n_query, depth), dtype=np.float32)
    for rows in _blocks(n_query, n):
        total = np.zeros((rows.stop - rows.start, n))
        for ranking, weight, slope in zip(rankings, weights, slopes, strict=True):
            total += weight * contributions(
                Ranking(ranking.indices[rows], ranking.scores[rows]),
                fusion,
                n,
                reachable=n - int(leave_one_out),
                rrf_k=rrf_k,
                slope=slope,
            )
        if leave_one_out:
            total[np.arange(len(total)), np.arange(n_query)[rows]] = -np.inf
        indices[rows], scores[rows] = best(total, depth, order)
    return Ranking(indices, scores)


def best(similarity: Contributions, depth: int, order: IntArray) -> tuple[IntArray, FloatArray]:
    """The largest of each row, best first.

    Parameters
    ----------
    similarity : array of float64, shape (n_query, n)
    depth : int
        How many.
    order : array of int64, shape (n,)
        Of equals, the one that comes first in it wins.

    Returns
    -------
    indices : array of int64, shape (n_query, depth)
    scores : array of float32, shape (n_query, depth)
    """
    shuffled = similarity[:, order]
    n = shuffled.shape[1]
    least = np.partition(shuffled, n - depth, axis=1)[:, n - depth]
    places = np.empty((len(shuffled), depth), dtype=np.int64)
    for row, values in enumerate(shuffled):
        enough = np.flatnonzero(values >= least[row])
        places[row] = enough[np.argsort(-values[enough], kind="stable")][:depth]
    return order[places], np.take_along_axis(shuffled, places, axis=1).astype(np.float32)


def _blocks(n_query: int, n: int) -> Iterator[slice]:
    size = max(1, _BLOCK_ITEMS // n)
    for start in range(0, n_query, size):
        yield slice(start, min(start + size, n_query))
