"""Clusters of queries, such as the photos of one individual, and what they are worth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from outliers_bench.types import IntArray

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Clusters:
    """Queries that are not independent of each other: photos of one individual or encounter.

    Intervals and tests resample whole clusters.

    Parameters
    ----------
    unit : str
        "query", "label", or the name of the column whose values are the clusters.
    ids : array of int64, shape (n_scored,)
        Cluster of each scored query, from 0 to n - 1.
    """

    unit: str
    ids: IntArray

    def __post_init__(self) -> None:
        if self.ids.ndim != 1 or not np.array_equal(np.unique(self.ids), np.arange(self.n)):
            raise ValueError(f"clusters by {self.unit} must be numbered from 0 to n - 1")

    @property
    def n(self) -> int:
        """Number of clusters."""
        return int(self.ids.max()) + 1 if self.ids.size else 0


def sum_clusters(values: Array, clusters: IntArray | None) -> Array:
    """Sum the columns of an array over the queries of each cluster.

    Parameters
    ----------
    values : array of float64, shape (..., n_query)
    clusters : array of int64, shape (n_query,), or None
        Cluster of each query; None for one cluster per query.

    Returns
    -------
    array of float64, shape (..., n_clusters)

    Examples
    --------
    >>> sum_clusters(np.array([1.0, 2.0, 4.0]), np.array([7, 3, 7]))
    array([2., 5.])
    """
    if clusters is None:
        return values
    if clusters.shape != values.shape[-1:]:
        raise ValueError(f"{values.shape[-1]} queries, but clusters of shape {clusters.shape}")
    order = np.argsort(clusters, kind="stable")
    _, starts = np.unique(clusters[order], return_index=True)
    return np.add.reduceat(values[..., order], starts, axis=-1)


def check_weights(weights: Array | None, n_query: int) -> Array:
    """Return the weights of the queries, 1 by default; a ValueError if they are none."""
    if weights is None:
        return np.ones(n_query)
    if weights.shape != (n_query,) or not (np.isfinite(weights) & (weights > 0)).all():
        raise ValueError(f"weights must be positive, of shape ({n_query},)")
    return weights


def design_effect(
    values: Array, *, clusters: IntArray | None = None, weights: Array | None = None
) -> float:
    """Estimate how much larger the variance of a mean is than with independent queries.

    The variance of the mean between clusters, divided by its variance if every query were a
    cluster of its own (Kish 1965). With m photos of each individual that agree with correlation r
    it is about 1 + (m - 1) r.

    Parameters
    ----------
    values : array of float64, shape (n_query,)
        A metric per query.
    clusters : array of int64, shape (n_query,), optional
        Cluster of each query; by default every query is one.
    weights : array of float64, shape (n_query,), optional
        Weights of the queries in the mean; by default equal.

    Returns
    -------
    float
        NaN for fewer than two clusters, or if all values are equal.

    References
    ----------
    L. Kish, "Survey Sampling", Wiley, 1965, section 8.2.

    Examples
    --------
    Of each of four individuals, both photos are hits or both are misses:

    >>> hits, individuals = np.array([1.0, 1, 0, 0, 1, 1, 1, 1]), np.arange(8) // 2
    >>> round(design_effect(hits, clusters=individuals), 2)
    2.33
    >>> design_effect(hits)
    1.0
    """
    independent = standard_error(values, weights=weights)
    clustered = standard_error(values, clusters=clusters, weights=weights)
    return (clustered / independent) ** 2 if independent > 0 else float("nan")


def effective_queries(
    values: Array, *, clusters: IntArray | None = None, weights: Array | None = None
) -> float:
    """Estimate the number of independent queries that would give a mean as exact.

    The number of queries divided by `design_effect`, which has the parameters.

    Examples
    --------
    >>> hits, individuals = np.array([1.0, 1, 0, 0, 1, 1, 1, 1]), np.arange(8) // 2
    >>> round(effective_queries(hits, clusters=individuals), 2)
    3.43
    """
    return len(values) / design_effect(values, clusters=clusters, weights=weights)


def smallest_difference(
    values: Array,
    other: Array | None = None,
    *,
    clusters: IntArray | None = None,
    weights: Array | None = None,
    level: float = 0.05,
    power: float = 0.8,
) -> float:
    """Estimate the smallest difference between two runs that these queries can show.

    If the true difference is as large, a paired test at the 5% level finds it in four of five
    samples of queries: standard error times the sum of the quantiles of Student's t (Bloom 1995).

    Parameters
    ----------
    values : array of float64, shape (n_query,)
        A metric of one run per query.
    other : array of float64, shape (n_query,), optional
        The same metric of another run. Without it, the result is an upper bound: for a run with
        the same spread that succeeds and fails independently of this one. Runs that fail on the
        same queries, as most do, show smaller differences.
    clusters : array of int64, shape (n_query,), optional
        Cluster of each query; by default every query is one.
    weights : array of float64, shape (n_query,), optional
        Weights of the queries in the mean; by default equal.
    level : float, default=0.05
        Level of the two-sided test.
    power : float, default=0.8
        Probability that the difference is found.

    Returns
    -------
    float
        On the scale of the metric. NaN if all values are equal, or if there are so few clusters,
        or so few in which the two runs differ, that no random signs are as rare as `level`: fewer
        than six at the 5% level.

    References
    ----------
    H. S. Bloom, "Minimum Detectable Effects: A Simple Way to Report the Statistical Power of
    Experimental Designs", Evaluation Review 19(5), 1995.

    Examples
    --------
    >>> hits = np.tile([1.0, 1, 0, 1], 25)
    >>> round(smallest_difference(hits), 3)
    0.174
    >>> round(smallest_difference(hits, clusters=np.arange(100) // 2), 3)
    0.144
    """
    from scipy.special import stdtrit

    n_clusters = n_differing = len(values) if clusters is None else len(np.unique(clusters))
    error = np.sqrt(2) * standard_error(values, clusters=clusters, weights=weights)
    if other is not None:
        error = standard_error(values - other, clusters=clusters, weights=weights)
        n_differing = int(np.count_nonzero(sum_clusters(np.abs(values - other), clusters)))
    if n_differing < smallest_number(level):
        return float("nan")
    quantiles = stdtrit(n_clusters - 1, [1 - level / 2, power])
    return float(error * quantiles.sum()) if error > 0 else float("nan")


def smallest_number(level: float) -> int:
    """Return the number of clusters from which on random signs can be as rare as a level.

    Of m clusters, all have the same sign in 2 of 2^m draws.

    Examples
    --------
    >>> smallest_number(0.05)
    6
    """
    return next(m for m in range(1, 1024) if 2.0 ** (1 - m) < level)


def standard_error(
    values: Array, *, clusters: IntArray | None = None, weights: Array | None = None
) -> float:
    """Estimate the standard error of a weighted mean over clusters (Taylor linearization).

    Examples
    --------
    >>> round(standard_error(np.array([0.0, 0, 1, 1]), clusters=np.array([0, 0, 1, 1])), 3)
    0.5
    """
    weights = check_weights(weights, len(values))
    residuals = weights * (values - np.average(values, weights=weights))
    sums = sum_clusters(residuals, clusters)
    n = len(sums)
    if n < 2:
        return float("nan")
    return float(np.sqrt(n / (n - 1) * (sums**2).sum()) / weights.sum())
