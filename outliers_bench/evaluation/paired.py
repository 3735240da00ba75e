"""Paired permutation tests: runs that are significantly worse than the best."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from outliers_bench.evaluation.clusters import check_weights, sum_clusters
from outliers_bench.types import BoolArray, IntArray

ALPHA = 0.05
PERMUTATIONS = 10_000
_MIN_PERMUTATIONS = 1_000
_BLOCK = 2**21  # signs per block, 8 MiB
_MAX_WORK = 1.5e11  # permutations x clusters x runs: about ten seconds
_ROUNDING = 1e-5  # relative to the sum of absolute differences: sums this close are equal
_EQUAL = 1e-10  # relative: means, and sums of squares, this close are equal


@dataclass(frozen=True, eq=False)
class Comparison:
    """Comparison of each run with the best one, on the same queries.

    Parameters
    ----------
    best : int
        Row of the run with the highest mean; the first of several.
    difference : array of float64, shape (n_runs,)
        Mean of the run minus mean of the best.
    p_value : array of float64, shape (n_runs,)
        Two-sided p-value of the paired permutation test of these two runs, as if they had been
        chosen before; 1 for the best itself.
    adjusted : array of float64, shape (n_runs,)
        p-value that accounts for the number of runs and for the choice of the best on the same
        queries; 1 for the best itself and for runs with the same mean.
    tied : array of bool, shape (n_runs,)
        True if the difference is not significant: `adjusted` is at least 0.05. This does not mean
        that the runs are equal.
    at_most : array of bool, shape (n_runs,)
        True if `adjusted` is only an upper bound: no permutation was as extreme, so more of them
        might give a smaller p-value.
    """

    best: int
    difference: npt.NDArray[np.float64]
    p_value: npt.NDArray[np.float64]
    adjusted: npt.NDArray[np.float64]
    tied: BoolArray
    at_most: BoolArray


def compare_with_best(
    values: npt.NDArray[np.float64],
    *,
    clusters: IntArray | None = None,
    weights: npt.NDArray[np.float64] | None = None,
    seed: int = 0,
    permutations: int = PERMUTATIONS,
) -> Comparison:
    """Compare every run with the best one, paired by query and simultaneously.

    If two runs were equally good, the difference of each query could have either sign (Fisher
    1935; Smucker et al. 2007 recommend this test for retrieval). Queries of one cluster are not
    independent, so the sum of a whole cluster changes its sign.

    The best is chosen on the same queries, so its lead is larger than a lead between two runs
    chosen before. Hence it is compared with the largest standardized difference between any two
    runs under the same signs: a max-T test over all pairs (Westfall and Young 1993; for two
    groups of queries, Tukey's range test), which keeps the correlations between runs. It is
    step-down: once a run is worse, the next one is compared with the largest difference between
    any two of the remaining runs.

    In simulations (`python -m benchmarks.uncertainty`), any of 2, 5, 10, 20 or 50 equally good runs
    is called worse than the best in 3.5% to 5.8% of tables; with Holm's correction, as if the best
    had been chosen before, in 6%, 9%, 13%, 21% and 35%. Of 7 runs that are worse than 3 equal ones
    by three standard errors, it finds 76%, Holm's 86%. By query, one of two equal runs is called
    better in 26% to 32% of data sets, if 10 photos of each of 20 individuals agree with a
    correlation of 0.3. By cluster it is at most 5%, exactly, if two runs are interchangeable, and
    0.3% to 3% where few clusters differ. Runs that have the same mean but fail differently are not
    interchangeable: with 20 individuals and a hit rate of 0.9, 12% if one run misses photos at
    random and the other whole individuals.

    Parameters
    ----------
    values : array of float64, shape (n_runs, n_query)
        One metric of several runs per query, with the queries in the same order.
    clusters : array of int64, shape (n_query,), optional
        Cluster of each query; by default every query is one.
    weights : array of float64, shape (n_query,), optional
        Weights of the queries in the means; by default equal.
    seed : int, default=0
        Seed of the signs.
    permutations : int, default=10000
        Number of draws. Very large tables have fewer, at least 1,000, so that it takes no more
        than about ten seconds. No p-value is below 1 / (1 + number of draws).

    Returns
    -------
    Comparison

    Raises
    ------
    ValueError
        If `values` is not a finite matrix with at least one query, or clusters or weights do not
        fit.

    References
    ----------
    R. A. Fisher, "The Design of Experiments", 1935.
    P. H. Westfall, S. S. Young, "Resampling-Based Multiple Testing", Wiley, 1993.
    M. D. Smucker, J. Allan, B. Carterette, "A Comparison of Statistical Significance Tests for
    Information Retrieval Evaluation", CIKM 2007.
    """
    if values.ndim != 2 or 0 in values.shape or not np.isfinite(values).all():
        raise ValueError(
            f"values must be finite, of shape (n_runs, n_query), with queries: {values.shape}"
        )
    weights = check_weights(weights, values.shape[1])
    means = (values * weights).sum(axis=1) / weights.sum()
    best = int(np.argmax(means >= means.max() - _EQUAL))
    # Differences to the best, so that equal runs have sums of exactly 0.
    sums = sum_clusters((values - values[best]) * weights, clusters)
    norm = np.sqrt((sums**2).sum(axis=1))
    distance = np.abs(sums.sum(axis=1)) / np.where(norm > 0, norm, 1)
    # The best first, the most distant run last: the first m rows are the runs of a step.
    order = np.argsort(distance, kind="stable")
    order = np.r_[best, order[order != best]]
    draws = max(_MIN_PERMUTATIONS, min(permutations, int(_MAX_WORK / sums.size)))
    # Sums that are equal except for rounding count as equal, or p-values would be too small.
    rounding = _ROUNDING * np.abs(sums).sum(axis=1) / np.where(norm > 0, norm, 1)
    pair, step = _count_extreme(sums[order], (distance - rounding)[order], seed=seed, draws=draws)
    # A run is worse only if all more distant ones are.
    step[1:] = np.maximum.accumulate(step[:0:-1])[::-1]
    extreme, extreme_step = np.empty_like(pair), np.empty_like(step)
    extreme[order], extreme_step[order] = pair, step
    adjusted = (1 + extreme_step) / (1 + draws)
    return Comparison(
        best=best,
        difference=means - means[best],
        p_value=(1 + extreme) / (1 + draws),
        adjusted=adjusted,
        tied=adjusted >= ALPHA,
        at_most=extreme_step == 0,
    )


def _count_extreme(
    sums: npt.NDArray[np.float64], threshold: npt.NDArray[np.float64], *, seed: int, draws: int
) -> tuple[IntArray, IntArray]:
    """Count the draws of signs that give a distance at least as large as each run's to the first.

    Returns
    -------
    tuple of two arrays of int64, shape (n_runs,)
        Draws in which the distance of this run to the first is as large, and those in which that
        of any two runs up to this one is.
    """
    n_runs, n_clusters = sums.shape
    gram = sums @ sums.T
    power = gram.diagonal()[:, None] + gram.diagonal() - 2 * gram
    # Standardizing by the root of the sum of squares, which the signs do not change, orders the
    # draws like Student's t. Two runs that are equal have no distance.
    equal = power <= _EQUAL * (gram.diagonal()[:, None] + gram.diagonal())
    scale = np.where(equal, 0, 1 / np.sqrt(np.where(equal, 1, power)))
    pair, step = np.full(n_runs, draws), np.full(n_runs, draws)
    pair[1:] = step[1:] = 0
    total = sums.sum(axis=1)[:, None]
    single = sums.astype(np.float32)  # twice as fast
    rng = np.random.default_rng(seed)
    rows = max(1, _BLOCK // max(n_clusters, n_runs))
    for start in range(0, draws, rows):
        size = (min(rows, draws - start), -(-n_clusters // 8))
        bits = rng.integers(0, 256, size, dtype=np.uint8)
        flipped = np.unpackbits(bits, axis=1, count=n_clusters).astype(np.float32)
        drawn = total - 2 * (single @ flipped.T)
        largest = np.zeros(size[0])
        for i in range(1, n_runs):
            apart = np.abs(drawn[:i] - drawn[i]) * scale[:i, i, None]
            np.maximum(largest, apart.max(axis=0), out=largest)
            pair[i] += np.count_nonzero(apart[0] >= threshold[i])
            step[i] += np.count_nonzero(largest >= threshold[i])
    return pair, step
