"""Hit rate at k, the "top-k accuracy" of classification."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from outliers_bench.types import BoolArray


def hit_at_k(relevant: BoolArray, k: int) -> npt.NDArray[np.float64]:
    """Check whether a relevant item is among the first k.

    Parameters
    ----------
    relevant : array of bool, shape (n_query, depth)
        True if the item at that rank is relevant, best rank first.
    k : int
        Cutoff. Ranks beyond `depth` count as not relevant.

    Returns
    -------
    array of float64, shape (n_query,)
        1 or 0.

    Examples
    --------
    >>> hit_at_k(np.array([[False, True, False]]), 1), hit_at_k(np.array([[False, True]]), 2)
    (array([0.]), array([1.]))
    """
    return np.asarray(relevant[:, :k].any(axis=1), dtype=np.float64)
