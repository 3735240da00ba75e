"""Hit rate at k, the "top-k accuracy" of classification."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from outliers_bench.types import BoolArray


def hit_at_k(relevant: BoolArray, k: int) -> npt.NDArray[np.float64]:
    """Whether anything relevant stands among the first k.

    Parameters
    ----------
    relevant : array of bool, shape (n_query, depth)
        Whether the item at each rank is relevant, best rank first.
    k : int
        Cut-off. Beyond `depth` there is nothing to find.

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
