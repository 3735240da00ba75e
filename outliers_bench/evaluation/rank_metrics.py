"""Metrics of a query from the ranks of its relevant images.

All take `relevant`, an array of bool of shape (n_query, depth): True if the item at that rank is
relevant, best rank first. Ranks beyond `depth` count as not relevant. `total`, an array of int64 of
shape (n_query,), is R of each query: the number of relevant items in the gallery. All return an
array of float64 of shape (n_query,), of which no bit depends on other queries or on ranks that the
definition does not name.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from outliers_bench.types import BoolArray, IntArray


def hit_at_k(relevant: BoolArray, k: int) -> npt.NDArray[np.float64]:
    """Return 1 if a relevant item is among the first k, else 0: the "top-k accuracy".

    Its mean over queries, against k, is the cumulative matching characteristic (CMC) of
    re-identification (Gray et al. 2007).

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

    References
    ----------
    K. Musgrave, S. Belongie, S.-N. Lim, "A Metric Learning Reality Check", ECCV 2020.

    Examples
    --------
    >>> r_precision(np.array([[True, False, True, False]]), np.array([2]))
    array([0.5])
    """
    queries, _ = _find(relevant, total)
    return np.bincount(queries, minlength=len(relevant)) / total


def average_precision_at_r(relevant: BoolArray, total: IntArray) -> npt.NDArray[np.float64]:
    r"""Average precision over the first R ranks, divided by R (Musgrave et al. 2020).

    .. math:: \frac{1}{R} \sum_{i=1}^{R} P(i)\,\mathrm{rel}(i)

    with P(i) the precision at rank i. Its mean over queries is MAP@R.

    Examples
    --------
    >>> average_precision_at_r(np.array([[True, False, True, False]]), np.array([4])).round(3)
    array([0.417])
    """
    return _sum_of_precisions(relevant, total) / total


def average_precision(relevant: BoolArray, total: IntArray) -> npt.NDArray[np.float64]:
    r"""Average precision: the mean, over all relevant items, of the precision at their ranks.

    .. math:: \frac{1}{R} \sum_{i=1}^{n} P(i)\,\mathrm{rel}(i)

    over the whole ranking, divided by the number of relevant items in the gallery, as TREC does
    (`map` of trec_eval). Its mean over queries is mAP, that of Market-1501 (Zheng et al. 2015) as
    fast-reid and torchreid compute it.

    References
    ----------
    C. Buckley, E. Voorhees, "Evaluating Evaluation Measure Stability", SIGIR 2000.
    L. Zheng et al., "Scalable Person Re-identification: A Benchmark", ICCV 2015.

    Examples
    --------
    >>> average_precision(np.array([[True, False, True, False]]), np.array([2])).round(3)
    array([0.833])
    """
    return _sum_of_precisions(relevant, np.full_like(total, relevant.shape[1])) / total


def average_precision_at_k(relevant: BoolArray, total: IntArray, k: int) -> npt.NDArray[np.float64]:
    r"""Average precision over the first k ranks, divided by the smaller of k and R.

    .. math:: \frac{1}{\min(k, R)} \sum_{i=1}^{k} P(i)\,\mathrm{rel}(i)

    Its mean over queries is MAP@k as Kaggle's competitions define it: a perfect ranking has 1.
    `map_cut` of trec_eval divides by R instead, and so cannot reach 1 where k is below R.

    References
    ----------
    B. Hamner, "Metrics", https://github.com/benhamner/Metrics: `apk`, by which Kaggle explains it.

    Examples
    --------
    >>> average_precision_at_k(np.array([[True, False, True, False]]), np.array([4]), 2)
    array([0.5])
    """
    return _sum_of_precisions(relevant, np.full_like(total, k)) / np.minimum(total, k)


def reciprocal_rank(relevant: BoolArray) -> npt.NDArray[np.float64]:
    """One over the rank of the first relevant item, 0 without one; its mean over queries is MRR.

    Examples
    --------
    >>> reciprocal_rank(np.array([[False, True, True], [False, False, False]]))
    array([0.5, 0. ])
    """
    first = relevant.argmax(axis=1)
    return np.where(relevant.any(axis=1), 1.0 / (first + 1), 0.0)


def inverse_penalty(relevant: BoolArray, total: IntArray) -> npt.NDArray[np.float64]:
    """Inverse negative penalty: R divided by the rank of the last relevant item (Ye et al. 2022).

    It tells how much has to be looked through to find all of an individual's photos. It is 0 if
    not all relevant items are ranked. Its mean over queries is mINP.

    References
    ----------
    M. Ye et al., "Deep Learning for Person Re-identification: A Survey and Outlook", IEEE TPAMI
    44(6), 2022.

    Examples
    --------
    >>> inverse_penalty(np.array([[True, False, False, True, False]]), np.array([2]))
    array([0.5])
    """
    last = relevant.shape[1] - relevant[:, ::-1].argmax(axis=1)
    return np.where(np.count_nonzero(relevant, axis=1) == total, total / last, 0.0)


def _find(relevant: BoolArray, last: IntArray) -> tuple[IntArray, IntArray]:
    """Return query and rank of each relevant item up to the rank `last` of its query, in order."""
    queries, positions = np.nonzero(relevant[:, : last.max(initial=0)])
    inside = positions < last[queries]
    return queries[inside], positions[inside] + 1


def _sum_of_precisions(relevant: BoolArray, last: IntArray) -> npt.NDArray[np.float64]:
    """Add up the precisions at the relevant ranks up to `last`, in the order of the ranks."""
    n = len(relevant)
    queries, ranks = _find(relevant, last)
    hits = np.arange(1, len(queries) + 1) - np.searchsorted(queries, np.arange(n))[queries]
    sums = np.bincount(queries, weights=hits / ranks, minlength=n)
    return np.asarray(sums, dtype=np.float64)
