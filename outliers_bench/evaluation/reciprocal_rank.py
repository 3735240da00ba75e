"""Reciprocal rank of the first relevant item."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from outliers_bench.types import BoolArray


def reciprocal_rank(relevant: BoolArray) -> npt.NDArray[np.float64]:
    """One over the rank of the first relevant item; its mean over queries is MRR.

    Parameters
    ----------
    relevant : array of bool, shape (n_query, depth)
        True if the item at that rank is relevant, best rank first.

    Returns
    -------
    array of float64, shape (n_query,)
        0 if there is no relevant item within `depth`; the true value is below 1 / depth then.

    Examples
    --------
    >>> reciprocal_rank(np.array([[False, True, True], [False, False, False]]))
    array([0.5, 0. ])
    """
    first = relevant.argmax(axis=1)
    return np.where(relevant.any(axis=1), 1.0 / (first + 1), 0.0)
