"""Cumulative matching characteristic (CMC): hit rate against the number of images looked at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from outliers_bench.evaluation.chance import chance_of_hits
from outliers_bench.types import IntArray

MAX_RANK = 50


class CmcCurve(NamedTuple):
    """Share of queries with a relevant image among the first k, for every k (Gray et al. 2007).

    Parameters
    ----------
    rates : array of float64, shape (n_rank,)
        Hit rate at k = 1, 2, ..., n_rank.
    low, high : array of float64, shape (n_rank,)
        Ends of the 95% interval of each rate. They hold for each k alone, not for the whole curve.
    chance : array of float64, shape (n_rank,)
        Expected rate of a gallery in random order.

    References
    ----------
    D. Gray, S. Brennan, H. Tao, "Evaluating Appearance Models for Recognition, Reacquisition, and
    Tracking", PETS 2007.
    """

    rates: npt.NDArray[np.float64]
    low: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]
    chance: npt.NDArray[np.float64]


def hits_by_rank(
    reciprocal_ranks: npt.NDArray[np.float64], available: IntArray
) -> dict[str, npt.NDArray[np.float64]]:
    """Compute hit_at_1, hit_at_2, ... per query, to the rank 50 or to the end of the gallery.

    Parameters
    ----------
    reciprocal_ranks : array of float64, shape (n_query,)
        One over the rank of the first relevant image, as in `Evaluation.per_query["mrr"]`.
    available : array of int64, shape (n_query,)
        Number of gallery images that each query ranks.

    Returns
    -------
    dict of str to array of float64, shape (n_query,)

    Examples
    --------
    >>> hits_by_rank(np.array([1, 1 / 3]), np.array([3, 3]))["hit_at_2"]
    array([1., 0.])
    """
    n = min(MAX_RANK, int(available.max()))
    return {f"hit_at_{k}": (reciprocal_ranks >= 1 / k).astype(np.float64) for k in range(1, n + 1)}


def cmc_curve(
    hits: Mapping[str, npt.NDArray[np.float64]],
    intervals: Mapping[str, tuple[float, float]],
    total: IntArray,
    available: IntArray,
) -> CmcCurve:
    """Combine the hits of `hits_by_rank` and the intervals of their means, by the same names.

    `total` and `available` are the numbers of relevant gallery images and of all that a query
    ranks, arrays of int64 of shape (n_query,).
    """
    low, high = np.array([intervals[name] for name in hits]).T
    pairs, queries = np.unique(np.stack([total, available]), axis=1, return_counts=True)
    by_pair = chance_of_hits(pairs[0], pairs[1], len(hits))
    rates = np.array([values.mean() for values in hits.values()])
    return CmcCurve(rates, low, high, np.average(by_pair, axis=0, weights=queries))
