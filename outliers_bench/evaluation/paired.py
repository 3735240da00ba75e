"""Paired permutation tests over queries: runs that are significantly worse than the best."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from outliers_bench.types import BoolArray

ALPHA = 0.05
_BLOCK = 2**21  # signs per block, 8 MiB
_ROUNDING = 1e-5  # relative to the sum of absolute differences: sums this close are equal
# Permutations per run: Holm's correction multiplies a p-value by up to the number of runs, so the
# smallest corrected one is 0.0005. Large tables have fewer, for about ten seconds of work, but
# always enough for a difference to be significant.
_PER_RUN = 2_000
_MIN_PER_RUN = 100
_MAX_WORK = 1.5e11  # permutations x queries x runs


@dataclass(frozen=True, eq=False)
class Comparison:
    """Comparison of each run with the best one, on the same queries.

    Parameters
    ----------
    difference : array of float64, shape (n_runs,)
        Mean of the run minus mean of the best.
    p_value : array of float64, shape (n_runs,)
        Two-sided p-value of the paired permutation test; 1 for the best itself.
    adjusted : array of float64, shape (n_runs,)
        p-value after Holm's correction for multiple comparisons; 1 for the best itself.
    tied : array of bool, shape (n_runs,)
        True if the difference is not significant: `adjusted` is at least 0.05. This does not mean
        that the runs are equal.
    at_most : array of bool, shape (n_runs,)
        True if `adjusted` is only an upper bound: no permutation was as extreme, so more of them
        might give a smaller p-value.
    """

    difference: npt.NDArray[np.float64]
    p_value: npt.NDArray[np.float64]
    adjusted: npt.NDArray[np.float64]
    tied: BoolArray
    at_most: BoolArray


def compare_with_best(
    values: npt.NDArray[np.float64],
    best: int,
    *,
    seed: int = 0,
    permutations: int = 10_000,
) -> Comparison:
    """Compare every run with the best one, paired by query.

    If a run were as good as the best, each query's difference could have either sign (Fisher
    1935). So signs are drawn at random many times, the same for all runs, and
    p = (1 + number of sums at least as far from 0 as the observed one) / (1 + number of draws).
    Smucker et al. (2007) recommend this randomization test for retrieval.

    Parameters
    ----------
    values : array of float64, shape (n_runs, n_query)
        One metric of several runs per query, with the queries in the same order.
    best : int
        Row to compare with. It is usually chosen on the same queries, which the test does not
        account for: see docs/metrics.md.
    seed : int, default=0
        Seed of the signs.
    permutations : int, default=10000
        Minimum number of draws. With many runs there are more, 2,000 per run if that takes no more
        than about ten seconds: p is never below 1 / (1 + number of draws), and Holm's correction
        multiplies it by up to the number of comparisons.

    Returns
    -------
    Comparison

    Raises
    ------
    ValueError
        If `values` is not a finite matrix with a row `best` and at least one query.

    References
    ----------
    R. A. Fisher, "The Design of Experiments", 1935.
    M. D. Smucker, J. Allan, B. Carterette, "A Comparison of Statistical Significance Tests for
    Information Retrieval Evaluation", CIKM 2007.
    S. Holm, "A Simple Sequentially Rejective Multiple Test Procedure", Scand. J. Statist. 6, 1979.
    """
    if values.ndim != 2 or values.shape[1] == 0 or not np.isfinite(values).all():
        raise ValueError(
            f"values must be finite, of shape (n_runs, n_query), with queries: {values.shape}"
        )
    n_runs = len(values)
    if not 0 <= best < n_runs:
        raise ValueError(f"best={best} is not one of {n_runs} runs")
    differences = (values - values[best]).T
    affordable = min(_PER_RUN * n_runs, int(_MAX_WORK / values.size))
    draws = max(permutations, affordable, _MIN_PER_RUN * n_runs)
    extreme = _count_extreme(differences, seed=seed, draws=draws)
    p_value = (1 + extreme) / (1 + draws)
    adjusted = np.ones(n_runs)
    others = np.arange(n_runs) != best
    adjusted[others] = holm(p_value[others])
    return Comparison(
        difference=differences.mean(axis=0),
        p_value=p_value,
        adjusted=adjusted,
        tied=adjusted >= ALPHA,
        at_most=extreme == 0,
    )


def _count_extreme(
    differences: npt.NDArray[np.float64], *, seed: int, draws: int
) -> npt.NDArray[np.int64]:
    """Count the sign flips whose sum is at least as far from 0 as that of each column."""
    n_query, n_runs = differences.shape
    total = differences.sum(axis=0)
    # Sums that are equal except for rounding count as equal, or p-values would be too small.
    threshold = np.abs(total) - _ROUNDING * np.abs(differences).sum(axis=0)
    single = np.ascontiguousarray(differences, dtype=np.float32)  # twice as fast
    rng = np.random.default_rng(seed)
    extreme = np.zeros(n_runs, dtype=np.int64)
    rows = max(1, _BLOCK // max(n_query, n_runs))
    for start in range(0, draws, rows):
        size = (min(rows, draws - start), -(-n_query // 8))
        bits = rng.integers(0, 256, size, dtype=np.uint8)
        flipped = np.unpackbits(bits, axis=1, count=n_query).astype(np.float32)
        sums = total - 2 * (flipped @ single)
        extreme += (np.abs(sums) >= threshold).sum(axis=0)
    return extreme


def holm(p_values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Correct p-values for multiple comparisons by Holm's step-down procedure (Holm 1979).

    The smallest of m p-values is multiplied by m, the next by m - 1, and so on. Corrected values
    retain their order and are at most 1.

    Examples
    --------
    >>> holm(np.array([0.03, 0.01, 0.02])).round(3)
    array([0.04, 0.03, 0.04])
    """
    m = len(p_values)
    order = np.argsort(p_values, kind="stable")
    stepped = np.maximum.accumulate(p_values[order] * np.arange(m, 0, -1))
    adjusted = np.empty(m)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted
