"""Reciprocal rank of the first right answer."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from outliers_bench.types import BoolArray


def reciprocal_rank(relevant: BoolArray) -> npt.NDArray[np.float64]:
    """One over the rank of the first relevant item; its mean over queries is MRR.

    Parameters
    ----------
    relevant : array of bool, shape (n_query, depth)
        Whether the item at each rank is relevant, best rank first.

    Returns
    -------
    array of float64, shape (n_query,)
        0 where nothing relevant stands within `depth`; its true value is below 1 / depth.

    Examples
    --------
    >>> reciprocal_rank(np.array([[False, True, True], [False, False, False]]))
    array([0.5, 0. ])
    """
    first = relevant.argmax(axis=1)
    return np.where(relevant.any(axis=1), 1.0 / (first + 1), 0.0)
