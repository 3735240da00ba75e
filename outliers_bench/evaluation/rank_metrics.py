"""Metrics of a query from the ranks of its relevant images.

All take `relevant`, an array of bool of shape (n_query, depth): True if the item at that rank is
relevant, best rank first. Ranks beyond `depth` count as not relevant. `total`, an array of int64 of
shape (n_query,), is R of each query: the number of relevant items in the gallery. All return an
array of float64 of shape (n_query,).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from outliers_bench.types import BoolArray, IntArray


def hit_at_k(relevant: BoolArray, k: int) -> npt.NDArray[np.float64]:
    """Return 1 if a relevant item is among the first k, else 0: the "top-k accuracy".

    Examples
    --------
    >>> hit_at_k(np.array([[False, True, False]]), 1), hit_at_k(np.array([[False, True]]), 2)
    (array([0.]), array([1.]))
    """
    return np.asarray(relevant[:, :k].any(axis=1), dtype=np.float64)


def precision_at_k(relevant: BoolArray, k: int) -> npt.NDArray[np.float64]:
    """Precision at k: the number of relevant items among the first k, divided by k.

    Examples
    --------
    >>> precision_at_k(np.array([[True, False, True, False]]), 3).round(3)
    array([0.667])
    """
    return np.asarray(relevant[:, :k].sum(axis=1) / k, dtype=np.float64)


def r_precision(relevant: BoolArray, total: IntArray) -> npt.NDArray[np.float64]:
    """Precision at R (Musgrave et al. 2020).

    Raises
    ------
    ValueError
        If R is below 1, or the ranking is shallower than the largest R.

    References
    ----------
    K. Musgrave, S. Belongie, S.-N. Lim, "A Metric Learning Reality Check", ECCV 2020.

    Examples
    --------
    >>> r_precision(np.array([[True, False, True, False]]), np.array([2]))
    array([0.5])
    """
    hits = np.cumsum(_mask_beyond_r(relevant, total), axis=1)[:, -1]
    return hits / total.astype(np.float64)


def average_precision_at_r(relevant: BoolArray, total: IntArray) -> npt.NDArray[np.float64]:
    r"""Average precision over the first R ranks, divided by R (Musgrave et al. 2020).

    .. math:: \frac{1}{R} \sum_{i=1}^{R} P(i)\,\mathrm{rel}(i)

    with P(i) the precision at rank i. Its mean over queries is MAP@R. Other tools divide by the
    number of relevant items retrieved, or use the trapezoidal rule, and so give other values for
    the same ranking.

    Raises
    ------
    ValueError
        See `r_precision`.

    Examples
    --------
    >>> average_precision_at_r(np.array([[True, False, True, False]]), np.array([4])).round(3)
    array([0.417])
    """
    hits = _mask_beyond_r(relevant, total)
    precision = np.cumsum(hits, axis=1) / np.arange(1, relevant.shape[1] + 1)
    return np.asarray((precision * hits).sum(axis=1) / total, dtype=np.float64)


def reciprocal_rank(relevant: BoolArray) -> npt.NDArray[np.float64]:
    """One over the rank of the first relevant item, 0 without one; its mean over queries is MRR.

    Examples
    --------
    >>> reciprocal_rank(np.array([[False, True, True], [False, False, False]]))
    array([0.5, 0. ])
    """
    first = relevant.argmax(axis=1)
    return np.where(relevant.any(axis=1), 1.0 / (first + 1), 0.0)


def _mask_beyond_r(relevant: BoolArray, total: IntArray) -> BoolArray:
    """Return `relevant` with all ranks beyond R of each query set to False."""
    depth = relevant.shape[1]
    if total.size and (total.min() < 1 or total.max() > depth):
        raise ValueError(
            f"R of {total.min()}..{total.max()} does not fit a ranking of depth {depth}"
        )
    return relevant & (np.arange(depth)[None, :] < total[:, None])
