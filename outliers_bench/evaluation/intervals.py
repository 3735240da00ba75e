"""Bootstrap confidence intervals of means over queries."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

RESAMPLES = 5_000
_BLOCK = 2**21  # weights per block, 16 MiB
_PSEUDO_WEIGHT = 0.5  # weight of the pseudo-query at each end of the scale


def confidence_intervals(
    per_query: Mapping[str, npt.NDArray[np.float64]], *, seed: int
) -> dict[str, tuple[float, float]]:
    """Compute the 95% bootstrap interval of each metric's mean.

    Parameters
    ----------
    per_query : mapping of str to array of float64, shape (n_query,)
        Every metric per query, as in `Evaluation.per_query`.
    seed : int
        Seed of the resamples. For the same seed and the same values, in any order, the interval
        is the same.

    Returns
    -------
    dict of str to tuple of float
        Lower and upper bound, 0 <= low <= mean <= high <= 1.

    Raises
    ------
    ValueError
        See `bootstrap`.
    """
    low, high = bootstrap(np.column_stack(list(per_query.values())), seed=seed)
    return {name: (float(a), float(b)) for name, a, b in zip(per_query, low, high, strict=True)}


def bootstrap(
    values: npt.NDArray[np.float64],
    *,
    seed: int,
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

    Parameters
    ----------
    values : array of float64, shape (n_query, n_metrics)
        Each between 0 and 1.
    seed : int
        Seed of the weights.
    level : float, default=0.95
        Confidence level.
    resamples : int, default=5000
        Number of resamples. With the default, bounds vary with the seed by less than a twentieth
        of the standard error.

    Returns
    -------
    array of float64, shape (2, n_metrics)
        Lower and upper bounds. They contain the mean and are between 0 and 1; for a single query
        they are 0 and 1.

    Raises
    ------
    ValueError
        If there is no query or a value is not between 0 and 1.

    References
    ----------
    C. J. Clopper, E. S. Pearson, "The Use of Confidence or Fiducial Limits Illustrated in the Case
    of the Binomial", Biometrika 26(4), 1934.
    D. B. Rubin, "The Bayesian Bootstrap", Annals of Statistics 9(1), 1981.
    L. D. Brown, T. T. Cai, A. DasGupta, "Interval Estimation for a Binomial Proportion",
    Statistical Science 16(2), 2001.
    B. Efron, "Better Bootstrap Confidence Intervals", JASA 82(397), 1987: BCa, compared with.
    """
    n = len(values)
    if n == 0 or not ((values >= 0) & (values <= 1)).all():
        raise ValueError("an interval needs at least one query, and values between 0 and 1")
    if n == 1:
        return np.repeat([[0.0], [1.0]], values.shape[1], axis=1)
    # Sorted, so that an interval depends only on the values and not on the order of the queries:
    # two runs with the same number of hits have the same interval.
    ordered = np.sort(values, axis=0)
    rng = np.random.default_rng(seed)
    zeros, ones = rng.standard_gamma(_PSEUDO_WEIGHT, (2, resamples))
    means = np.empty((resamples, values.shape[1]))
    rows = max(1, _BLOCK // n)
    for start in range(0, resamples, rows):
        block = slice(start, min(start + rows, resamples))
        weights = rng.standard_exponential((block.stop - start, n))
        total = weights.sum(axis=1) + zeros[block] + ones[block]
        means[block] = (weights @ ordered + ones[block, None]) / total[:, None]
    tail = (1 - level) / 2
    low, high = np.quantile(means, [tail, 1 - tail], axis=0)
    # The pseudo-queries pull toward the middle: if all queries are 1, the mean may be outside.
    mean = values.mean(axis=0)
    low, high = np.minimum(low, mean), np.maximum(high, mean)
    exact = tail ** (1 / n)  # the hit rate at which n hits of n have this probability
    low = np.where(ordered[0] == 1, exact, low)
    high = np.where(ordered[-1] == 0, 1 - exact, high)
    return np.stack([low, high]).clip(0.0, 1.0)
