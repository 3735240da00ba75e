"""Chance level: exact expectations of the metrics if the gallery is in random order.

All take `total` and `available`, arrays of int64 of shape (m,): the number R of relevant gallery
images, at least 1, and the number n of all gallery images that a query ranks. All return an array
of float64 of shape (m,). H(n) is 1 + 1/2 + ... + 1/n.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from outliers_bench.types import IntArray


def chance_of_hit(total: IntArray, available: IntArray, k: int) -> npt.NDArray[np.float64]:
    """Expected hit at k: 1 - C(n - R, k) / C(n, k), the hypergeometric chance of a first hit.

    Examples
    --------
    >>> chance_of_hit(np.array([1, 2, 3]), np.array([4, 4, 4]), 2).round(3)
    array([0.5  , 0.833, 1.   ])
    """
    return chance_of_hits(total, available, k)[:, -1]


def chance_of_hits(total: IntArray, available: IntArray, k: int) -> npt.NDArray[np.float64]:
    """Expected hit at 1, 2, ..., k, shape (m, k); see `chance_of_hit`."""
    n, drawn = available[:, None], np.arange(k)
    misses = np.maximum(n - total[:, None] - drawn, 0) / np.maximum(n - drawn, 1)
    return np.asarray(1.0 - np.cumprod(misses, axis=1), dtype=np.float64)


def chance_of_precision(total: IntArray, available: IntArray, k: int) -> npt.NDArray[np.float64]:
    """Expected precision at k: R / n, as each rank is relevant with this probability.

    Beyond the end of the gallery no rank is relevant.

    Examples
    --------
    >>> chance_of_precision(np.array([2, 2]), np.array([8, 4]), 8)
    array([0.25, 0.25])
    """
    return np.minimum(k, available) * (total / available) / k


def chance_of_r_precision(total: IntArray, available: IntArray) -> npt.NDArray[np.float64]:
    """Expected precision at R: R / n."""
    return total / available


def chance_of_average_precision(total: IntArray, available: IntArray) -> npt.NDArray[np.float64]:
    """Expected average precision (Bestgen 2015).

    References
    ----------
    Y. Bestgen, "Exact Expected Average Precision of the Random Baseline for System Evaluation",
    Prague Bulletin of Mathematical Linguistics 103, 2015.

    Examples
    --------
    >>> chance_of_average_precision(np.array([1, 3]), np.array([2, 3]))
    array([0.75, 1.  ])
    """
    return _expected_sum_of_precisions(total, available, available) / total


def chance_of_average_precision_at_r(
    total: IntArray, available: IntArray
) -> npt.NDArray[np.float64]:
    """Expected average precision over the first R ranks, divided by R."""
    return _expected_sum_of_precisions(total, available, total) / total


def chance_of_average_precision_at_k(
    total: IntArray, available: IntArray, k: int
) -> npt.NDArray[np.float64]:
    """Expected average precision over the first k ranks, divided by the smaller of k and R."""
    last = np.minimum(available, k)
    return _expected_sum_of_precisions(total, available, last) / np.minimum(total, k)


def chance_of_reciprocal_rank(total: IntArray, available: IntArray) -> npt.NDArray[np.float64]:
    """Expected reciprocal rank of the first relevant image: R (H(n) - H(R - 1)) / (n - R + 1).

    The first one is at rank r with probability C(n - r, R - 1) / C(n, R), and the sum over r of
    C(n - r, R - 1) / r is C(n, R - 1) (H(n) - H(R - 1)).

    Examples
    --------
    >>> chance_of_reciprocal_rank(np.array([1, 2]), np.array([2, 2]))
    array([0.75, 1.  ])
    """
    harmonic = _harmonic(available)
    return total * (harmonic[available] - harmonic[total - 1]) / (available - total + 1)


def chance_of_inverse_penalty(total: IntArray, available: IntArray) -> npt.NDArray[np.float64]:
    """Expected R / rank of the last relevant image, which is r with C(r - 1, R - 1) / C(n, R).

    Examples
    --------
    >>> chance_of_inverse_penalty(np.array([1, 2]), np.array([2, 2]))
    array([0.75, 1.  ])
    """
    expected = np.empty(len(total))
    for relevant in np.unique(total).tolist():
        rows = np.flatnonzero(total == relevant)
        rows = rows[np.argsort(available[rows])]
        n = int(available[rows[0]])
        ranks = np.arange(n, relevant - 1, -1, dtype=np.float64)
        # From R / n at rank n, down to rank R.
        steps = (ranks[:-1] - relevant) / (ranks[:-1] - 1)
        probability = relevant / n * np.cumprod(np.concatenate([[1.0], steps]))
        value = float((probability * relevant / ranks).sum())
        for row in rows.tolist():
            # With one image more, that one is the last with probability R / n; else as before.
            while n < available[row]:
                n += 1
                value += relevant / n * (relevant / n - value)
            expected[row] = value
    return expected


def _expected_sum_of_precisions(
    total: IntArray, available: IntArray, last: IntArray
) -> npt.NDArray[np.float64]:
    """Expected sum of the precisions at the relevant ranks up to `last`.

    Rank i is relevant with probability R / n, and then each of the i - 1 before it with
    probability (R - 1) / (n - 1): the term of rank i is R / n (1 + (i - 1) (R - 1) / (n - 1)) / i.
    """
    harmonic = _harmonic(available)[last]
    others = (total - 1) / np.maximum(available - 1, 1)
    return total / available * (harmonic + others * (last - harmonic))


def _harmonic(available: IntArray) -> npt.NDArray[np.float64]:
    """H(0), H(1), ... up to the largest of `available`."""
    return np.concatenate([[0.0], np.cumsum(1.0 / np.arange(1, available.max(initial=0) + 1))])
