"""Precision at k, and at R."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from outliers_bench.types import BoolArray, IntArray


def precision_at_k(relevant: BoolArray, k: int) -> npt.NDArray[np.float64]:
    """Precision at k: the number of relevant items among the first k, divided by k.

    Parameters
    ----------
    relevant : array of bool, shape (n_query, depth)
        True if the item at that rank is relevant, best rank first.
    k : int
        Cutoff. Ranks beyond `depth` count as not relevant.

    Returns
    -------
    array of float64, shape (n_query,)

    Examples
    --------
    >>> precision_at_k(np.array([[True, False, True, False]]), 3).round(3)
    array([0.667])
    """
    return np.asarray(relevant[:, :k].sum(axis=1) / k, dtype=np.float64)


def r_precision(relevant: BoolArray, total: IntArray) -> npt.NDArray[np.float64]:
    """Precision at R, where R is the number of items relevant to the query (Musgrave et al. 2020).

    Parameters
    ----------
    relevant : array of bool, shape (n_query, depth)
        True if the item at that rank is relevant, best rank first.
    total : array of int64, shape (n_query,)
        R of each query, at least 1 and at most `depth`.

    Returns
    -------
    array of float64, shape (n_query,)

    Raises
    ------
    ValueError
        If the ranking is shallower than the largest R.

    References
    ----------
    K. Musgrave, S. Belongie, S.-N. Lim, "A Metric Learning Reality Check", ECCV 2020.

    Examples
    --------
    >>> r_precision(np.array([[True, False, True, False]]), np.array([2]))
    array([0.5])
    """
    hits = np.cumsum(mask_beyond_r(relevant, total), axis=1)[:, -1]
    return hits / total.astype(np.float64)


def mask_beyond_r(relevant: BoolArray, total: IntArray) -> BoolArray:
    """Return `relevant` with all ranks beyond R of each query set to False.

    Raises
    ------
    ValueError
        If R of a query is below 1 or larger than the depth of the ranking.
    """
    depth = relevant.shape[1]
    if total.size and (total.min() < 1 or total.max() > depth):
        raise ValueError(
            f"R of {total.min()}..{total.max()} does not fit a ranking of depth {depth}"
        )
    ranks = np.arange(depth)
    return relevant & (ranks[None, :] < total[:, None])
