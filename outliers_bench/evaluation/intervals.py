"""Bootstrap confidence intervals of means over queries."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from outliers_bench.evaluation.clusters import check_weights, sum_clusters
from outliers_bench.types import IntArray

RESAMPLES = 5_000
_BLOCK = 2**21  # weights per block, 16 MiB
_PSEUDO_WEIGHT = 0.5  # weight of the pseudo-query at each end of the scale


def confidence_intervals(
    per_query: Mapping[str, npt.NDArray[np.float64]],
    *,
    seed: int,
    clusters: IntArray | None = None,
    weights: npt.NDArray[np.float64] | None = None,
) -> dict[str, tuple[float, float]]:
    """Compute the 95% bootstrap interval of each metric's mean.

    Parameters
    ----------
    per_query : mapping of str to array of float64, shape (n_query,)
        Every metric per query, as in `Evaluation.per_query`.
    seed : int
        Seed of the resamples. For the same seed and the same values, in any order, the interval
        is the same.
    clusters : array of int64, shape (n_query,), optional
        Cluster of each query; by default every query is one.
    weights : array of float64, shape (n_query,), optional
        Weights of the queries in the means; by default equal.

    Returns
    -------
    dict of str to tuple of float
        Lower and upper bound, 0 <= low <= mean <= high <= 1.

    Raises
    ------
    ValueError
        See `bootstrap`.
    """
    values = np.column_stack(list(per_query.values()))
    low, high = bootstrap(values, seed=seed, clusters=clusters, weights=weights)
    return {name: (float(a), float(b)) for name, a, b in zip(per_query, low, high, strict=True)}


def bootstrap(
    values: npt.NDArray[np.float64],
    *,
    seed: int,
    clusters: IntArray | None = None,
    weights: npt.NDArray[np.float64] | None = None,
    level: float = 0.95,
    resamples: int = RESAMPLES,
) -> npt.NDArray[np.float64]:
    """Compute bootstrap intervals for the means of columns of values between 0 and 1.

    The Bayesian bootstrap (Rubin 1981): a resample weights the queries by independent exponential
    draws, whereas the classic bootstrap weights them by the number of times each was drawn. Two
    pseudo-queries of half the weight, one of value 0 and one of value 1, prevent an interval from
    collapsing to a point if nearly all queries have the same value. For a hit rate this is
    Jeffreys' interval (Brown, Cai, DasGupta 2001). If all queries are 1 or all are 0, the far
    bound is, as they recommend, the exact one of Clopper and Pearson (1934): 340 hits of 340 give
    [0.989, 1], 339 of 340 about [0.986, 1.000].

    It was chosen by simulation (`python -m benchmarks.uncertainty`: hit rates of 0.5 to 0.99, and
    values like average precision). Coverage of 95% intervals, lowest to highest:

    =======  ================  ================  ================
    queries  percentile        BCa               this method
    =======  ================  ================  ================
    50       0.407 to 0.970    0.399 to 0.983    0.946 to 0.990
    340      0.850 to 0.959    0.941 to 0.962    0.941 to 0.973
    2,000    0.940 to 0.957    0.938 to 0.960    0.938 to 0.961
    =======  ================  ================  ================

    The first two fail if nearly every query is a hit: of 50 queries at a hit rate of 0.99, usually
    all are hits, and the mean of every resample is 1. In that case, a coverage of 0.990 is as close
    to 0.95 as 51 possible outcomes allow.

    Queries of one cluster are not independent, so whole clusters are weighted: the mean is
    sum(g_c S_c) / sum(g_c W_c), where S_c and W_c are the weighted values and the weights of
    cluster c, and g_c the draws. Three things change with them:

    - A pseudo-query has half the weight of an effective independent query: a query times the
      design effect, at most a cluster. Where all queries are 1 or all are 0, a cluster counts as
      one query.
    - The spread of few clusters is uncertain, and resampling understates it: the percentiles are
      moved out until the interval is as wide as Student's t (Hesterberg 2015).
    - Clusters that differ in size are worth fewer: Kish's sum(W_c)^2 / sum(W_c^2).

    Coverage by individual (by query) if photos of one individual agree, lowest to highest for hit
    rates of 0.3 to 0.9 and values like average precision:

    ===========  ==============================  ==============================
    correlation  20 individuals x 10 photos      200 x 2
    ===========  ==============================  ==============================
    0            0.943-0.966 (0.942-0.961)       0.942-0.955 (0.934-0.951)
    0.1          0.945-0.971 (0.833-0.875)       0.945-0.960 (0.927-0.954)
    0.3          0.950-0.969 (0.656-0.709)       0.932-0.960 (0.891-0.917)
    0.5          0.956-0.979 (0.561-0.623)       0.946-0.959 (0.878-0.904)
    0.7          0.947-0.979 (0.489-0.526)       0.941-0.963 (0.853-0.885)
    0.9          0.962-0.981 (0.422-0.493)       0.943-0.959 (0.817-0.862)
    ===========  ==============================  ==============================

    50 x 4 photos are in between: 0.938 to 0.972. The highest are of few individuals with rare
    misses, where few outcomes are likely and the seed decides whether a bound covers: from other
    seeds, 20 x 10 photos have 0.922 to 0.985.

    Parameters
    ----------
    values : array of float64, shape (n_query, n_metrics)
        Each between 0 and 1.
    seed : int
        Seed of the weights.
    clusters : array of int64, shape (n_query,), optional
        Cluster of each query; by default every query is one.
    weights : array of float64, shape (n_query,), optional
        Weights of the queries in the means; by default equal.
    level : float, default=0.95
        Confidence level.
    resamples : int, default=5000
        Number of resamples. With the default, bounds vary with the seed by less than a twentieth
        of the standard error.

    Returns
    -------
    array of float64, shape (2, n_metrics)
        Lower and upper bounds. They contain the mean and are between 0 and 1; for a single query,
        and for one or two clusters, they are 0 and 1.

    Raises
    ------
    ValueError
        If there is no query, a value is not between 0 and 1, or clusters or weights do not fit.

    References
    ----------
    C. J. Clopper, E. S. Pearson, "The Use of Confidence or Fiducial Limits Illustrated in the Case
    of the Binomial", Biometrika 26(4), 1934.
    D. B. Rubin, "The Bayesian Bootstrap", Annals of Statistics 9(1), 1981.
    L. D. Brown, T. T. Cai, A. DasGupta, "Interval Estimation for a Binomial Proportion",
    Statistical Science 16(2), 2001.
    L. Kish, "Survey Sampling", Wiley, 1965: design effect and effective sample size.
    T. C. Hesterberg, "What Teachers Should Know About the Bootstrap", The American Statistician
    69(4), 2015: expanded percentile intervals.
    B. Efron, "Better Bootstrap Confidence Intervals", JASA 82(397), 1987: BCa, compared with.
    """
    n = len(values)
    if n == 0 or not ((values >= 0) & (values <= 1)).all():
        raise ValueError("an interval needs at least one query, and values between 0 and 1")
    query_weights = check_weights(weights, n)
    sizes = sum_clusters(query_weights, clusters)
    sums = sum_clusters(values.T * query_weights, clusters).T
    independent = weights is None and len(sizes) == n
    if len(sizes) < (2 if independent else 3):
        return np.repeat([[0.0], [1.0]], values.shape[1], axis=1)
    # Number of clusters of equal size that would be worth as much (Kish).
    n_effective = sizes.sum() ** 2 / (sizes**2).sum()
    pseudo = _effective_query(values, query_weights, sums, sizes)
    # Sorted, so that an interval depends only on the values and not on the order of the queries:
    # two runs with the same number of hits have the same interval.
    order = np.lexsort((sums, np.broadcast_to(sizes[:, None], sums.shape)), axis=0)
    ordered, sizes = np.ascontiguousarray(np.take_along_axis(sums, order, axis=0)), np.sort(sizes)
    rng = np.random.default_rng(seed)
    zeros, ones = rng.standard_gamma(_PSEUDO_WEIGHT, (2, resamples, 1))
    means = np.empty((resamples, values.shape[1]))
    rows = max(1, _BLOCK // len(sums))
    for start in range(0, resamples, rows):
        block = slice(start, min(start + rows, resamples))
        drawn = rng.standard_exponential((block.stop - start, len(sums)))
        total = (drawn * sizes).sum(axis=1, keepdims=True)
        total = total + zeros[block] * pseudo + ones[block] * pseudo
        means[block] = (drawn @ ordered + ones[block] * pseudo) / total
    tail = (1 - level) / 2
    mean = values.mean(axis=0) if weights is None else np.average(values, axis=0, weights=weights)
    if independent:
        low, high = np.quantile(means, [tail, 1 - tail], axis=0)
    else:
        n_clusters = len(sizes)
        residuals = ordered - sizes[:, None] * mean
        error = np.sqrt(n_clusters / (n_clusters - 1) * (residuals**2).sum(axis=0)) / sizes.sum()
        outer = _expand(tail, n_effective, error / means.std(axis=0))
        ends = [np.quantile(means[:, i], [t, 1 - t]) for i, t in enumerate(outer)]
        low, high = np.transpose(ends)
    # The pseudo-queries pull toward the middle: if all queries are 1, the mean may be outside.
    low, high = np.minimum(low, mean), np.maximum(high, mean)
    exact = tail ** (1 / n_effective)  # the hit rate at which n hits of n have this probability
    low = np.where(values.min(axis=0) == 1, exact, low)
    high = np.where(values.max(axis=0) == 0, 1 - exact, high)
    return np.stack([low, high]).clip(0.0, 1.0)


def _effective_query(
    values: npt.NDArray[np.float64],
    weights: npt.NDArray[np.float64],
    sums: npt.NDArray[np.float64],
    sizes: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    """Estimate the weight of an independent query: the design effect, in weights of queries.

    It is at least a query and at most a cluster. Half a cluster of value 0 and half of value 1
    are added first: if nearly all queries have the same value, they do not show how much those
    of a cluster agree, and a cluster counts as a single query.
    """
    cluster = (sizes**2).sum() / sizes.sum()
    total = sizes.sum() + cluster
    mean = (sums.sum(axis=0) + _PSEUDO_WEIGHT * cluster) / total
    ends = _PSEUDO_WEIGHT * cluster * (mean**2 + (1 - mean) ** 2)
    between = ((sums - sizes[:, None] * mean) ** 2).sum(axis=0) + cluster * ends
    spread = weights @ (values - mean) ** 2 + ends
    query = (weights**2).sum() / weights.sum()
    effective: npt.NDArray[np.float64] = np.clip(between / spread, query, cluster)
    return effective


def _expand(
    tail: float, n_clusters: float, errors: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return the tail that makes intervals as wide as those of Student's t.

    With few clusters, their spread is itself uncertain, and resampling understates it (Hesterberg
    2015: the expanded percentile interval). The pseudo-queries may have widened it enough.

    Parameters
    ----------
    tail : float
        Nominal probability of each tail.
    n_clusters : float
        Effective number of clusters.
    errors : array of float64, shape (n_metrics,)
        Standard errors, relative to the standard deviation of the resampled means.
    """
    from scipy.special import ndtr, stdtrit

    expanded: npt.NDArray[np.float64] = ndtr(stdtrit(n_clusters - 1, tail) * errors)
    return np.minimum(tail, expanded)
