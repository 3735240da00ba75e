"""Mean average precision at R."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from outliers_bench.evaluation.precision import mask_beyond_r
from outliers_bench.types import BoolArray, IntArray


def average_precision_at_r(relevant: BoolArray, total: IntArray) -> npt.NDArray[np.float64]:
    r"""Average precision over the first R ranks, divided by R (Musgrave et al. 2020).

    .. math:: \frac{1}{R} \sum_{i=1}^{R} P(i)\,\mathrm{rel}(i)

    with P(i) the precision at rank i. Its mean over queries is MAP@R. Other tools divide by the
    number of relevant items retrieved, or use the trapezoidal rule, and so give other values for
    the same ranking.

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
    >>> average_precision_at_r(np.array([[True, False, True, False]]), np.array([4])).round(3)
    array([0.417])
    """
    hits = mask_beyond_r(relevant, total)
    precision = np.cumsum(hits, axis=1) / np.arange(1, relevant.shape[1] + 1)
    return np.asarray((precision * hits).sum(axis=1) / total, dtype=np.float64)
