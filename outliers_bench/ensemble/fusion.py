"""Fusion of rankings: weighted sums of the members' contributions to each gallery item."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from outliers_bench.ensemble.options import Fusion
from outliers_bench.runtime.progress import track
from outliers_bench.types import Exclusion, FloatArray, IntArray, Ranking

Contributions = npt.NDArray[np.float64]
_BLOCK_ITEMS = 4_000_000  # contributions of one member per block


def contributions(
    ranking: Ranking,
    fusion: Fusion,
    n: int,
    *,
    max_depth: int | IntArray | None = None,
    rrf_k: float = 60.0,
    slope: float = 1.0,
) -> Contributions:
    """Compute the contribution of a member's ranking to each gallery item.

    For the hit at rank r (from 1) with score s, of d hits with mean m, standard deviation v,
    lowest score l and highest score h, of n rankable gallery items:

    ========== ================= ==========================
    fusion     hit               item that is not ranked
    ========== ================= ==========================
    zscore     (s - m) / v       that of the last hit
    minmax     (s - l) / (h - l) 0
    calibrated slope · s         that of the last hit
    rrf        1 / (rrf_k + r)   0
    borda      n - r + 1         (n - d + 1) / 2
    ========== ================= ==========================

    Hits with the same score share the mean of their ranks. If all hits have the same score, as
    for a photo without keypoints, the contribution is 0 for every item.

    Parameters
    ----------
    ranking : Ranking
        Ranking of `n_query` queries.
    fusion : Fusion
        Any except `concat`.
    n : int
        Size of the gallery.
    max_depth : int or array of int64, shape (n_query, 1), optional
        Number of gallery items that can be ranked; by default, n.
    rrf_k : float
        Constant of reciprocal rank fusion.
    slope : float
        Slope of the calibration; see `ensemble.tuning.fit_slope`.

    Returns
    -------
    array of float64, shape (n_query, n)

    References
    ----------
    E. Fox, J. Shaw, "Combination of Multiple Searches", TREC-2, 1994 (sums of scores).
    G. Cormack, C. Clarke, S. Büttcher, "Reciprocal Rank Fusion", SIGIR 2009.
    J. Aslam, M. Montague, "Models for Metasearch", SIGIR 2001 (Borda).
    """
    from scipy.stats import rankdata

    depth, max_depth = ranking.depth, n if max_depth is None else max_depth
    scores = ranking.scores.astype(np.float64)
    low, high = scores[:, -1:], scores[:, :1]
    missing: Contributions | float = 0.0
    if fusion is Fusion.rrf:
        of_hits = 1 / (rrf_k + rankdata(-scores, axis=1))
    elif fusion is Fusion.borda:
        of_hits = max_depth + 1 - rankdata(-scores, axis=1)
        missing = (max_depth - depth + 1) / 2
    elif fusion is Fusion.calibrated:
        of_hits = slope * scores
        missing = of_hits[:, -1:]
    else:
        center, spread = low, high - low
        if fusion is Fusion.zscore:
            center = scores.mean(axis=1, keepdims=True)
            spread = scores.std(axis=1, keepdims=True)
        of_hits = np.divide(scores - center, spread, out=np.zeros_like(scores), where=high > low)
        missing = of_hits[:, -1:]
    of_items = np.empty((len(scores), n))
    of_items[:] = missing
    np.put_along_axis(of_items, ranking.indices, of_hits, axis=1)
    if depth > 1:
        of_items[(high == low)[:, 0]] = 0
    return of_items


def fuse_blocks(
    rankings: Sequence[Ranking],
    weights: Sequence[float],
    *,
    fusion: Fusion,
    n: int,
    rrf_k: float,
    slopes: Sequence[float],
    exclusion: Exclusion,
) -> Iterator[tuple[IntArray, Contributions]]:
    """Yield weighted sums of all members' contributions to each gallery item; see `contributions`.

    Queries are fused in blocks, which limits the memory. Those in a block have equally many hits.

    Parameters
    ----------
    rankings : sequence of Ranking
        One per member, of the same queries; depths may differ.
    weights : sequence of float
        One per member.
    fusion : Fusion
        Any except `concat`.
    n : int
        Size of the gallery.
    rrf_k : float
        Constant of reciprocal rank fusion.
    slopes : sequence of float
        Slopes of the calibration, one per member.
    exclusion : Exclusion
        Gallery items to exclude for each query.

    Yields
    ------
    rows : array of int64, shape (b,)
        Queries.
    sums : array of float64, shape (b, n)
        -inf for excluded items.
    """
    size = max(1, _BLOCK_ITEMS // n)
    available = exclusion.available
    deepest = max(ranking.depth for ranking in rankings)
    hits = np.minimum(available, deepest)
    batches = [
        rows[start : start + size]
        for number in np.unique(hits)
        for rows in [np.flatnonzero(hits == number)]
        for start in range(0, len(rows), size)
    ]
    for rows in track(batches, stage="fuse", total=len(batches), unit="blocks"):
        total = np.zeros((len(rows), n))
        of_rows = available[rows]
        if of_rows[0]:
            for ranking, weight, slope in zip(rankings, weights, slopes, strict=True):
                first = min(ranking.depth, int(of_rows[0]))
                total += weight * contributions(
                    Ranking(ranking.indices[rows, :first], ranking.scores[rows, :first]),
                    fusion,
                    n,
                    max_depth=of_rows[:, None],
                    rrf_k=rrf_k,
                    slope=slope,
                )
        if exclusion.largest:
            total[exclusion.mask(rows, np.arange(n)[None])] = -np.inf
        yield rows, total


def select_top(
    similarity: Contributions, depth: int, order: IntArray
) -> tuple[IntArray, FloatArray]:
    """Select the largest values of each row, in descending order.

    Parameters
    ----------
    similarity : array of float64, shape (n_query, n)
    depth : int
        Number of values to select.
    order : array of int64, shape (n,)
        Of equal values, the one that is first in it ranks first.

    Returns
    -------
    indices : array of int64, shape (n_query, depth)
        -1 for a value of -inf.
    scores : array of float32, shape (n_query, depth)
    """
    shuffled = similarity[:, order]
    n = shuffled.shape[1]
    lowest = np.partition(shuffled, n - depth, axis=1)[:, n - depth]
    positions = np.empty((len(shuffled), depth), dtype=np.int64)
    for row, values in enumerate(shuffled):
        candidates = np.flatnonzero(values >= lowest[row])
        positions[row] = candidates[np.argsort(-values[candidates], kind="stable")][:depth]
    values = np.take_along_axis(shuffled, positions, axis=1)
    return np.where(np.isneginf(values), -1, order[positions]), values.astype(np.float32)
