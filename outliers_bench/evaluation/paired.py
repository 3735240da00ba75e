"""Which runs are worse than the best for more reasons than chance: paired tests over queries."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from outliers_bench.types import BoolArray

ALPHA = 0.05
_BLOCK = 2**21  # signs held at a time, 8 MiB
_ROUNDING = 1e-5  # of the sum of absolute differences: sums this close are equal
# Permutations for each run: Holm multiplies a p by up to the number of runs, so that even the
# smallest is 0.0005 then. A big table has fewer, about ten seconds' worth, but never so few that
# nothing could be told from the best.
_PER_RUN = 2_000
_LEAST_PER_RUN = 100
_MOST_WORK = 1.5e11  # permutations x queries x runs


@dataclass(frozen=True, eq=False)
class Comparison:
    """Each run against the best one, on the same queries.

    Parameters
    ----------
    difference : array of float64, shape (n_runs,)
        Mean of the run minus mean of the best.
    p_value : array of float64, shape (n_runs,)
        Two-sided, of the paired permutation test; 1 for the best itself.
    adjusted : array of float64, shape (n_runs,)
        The same after Holm's correction for as many comparisons; 1 for the best itself.
    tied : array of bool, shape (n_runs,)
        Whether the difference may be chance: `adjusted` is at least 0.05. It does not say that
        the runs are equal.
    at_most : array of bool, shape (n_runs,)
        Whether `adjusted` is only an upper bound: none of the permutations was as far from 0, so
        that more of them might have given a smaller p.
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
    """Compare every run with the best one, query by query.

    If a run were as good as the best, each query's difference might as well have the other sign
    (Fisher 1935). So signs are drawn anew many times, the same for all runs, and
    p = (1 + how often the sum is as far from 0 as the one observed) / (1 + times drawn). This
    randomisation test is what Smucker et al. (2007) advise for retrieval.

    Parameters
    ----------
    values : array of float64, shape (n_runs, n_query)
        One metric of several runs, query by query, the queries in the same order.
    best : int
        Row to compare with. It is usually chosen on the same queries, which the test does not
        account for: see docs/metrics.md.
    seed : int, default=0
        Of the signs.
    permutations : int, default=10000
        Times that signs are drawn, at least. With many runs they are more, 2,000 for each where
        that takes no more than some ten seconds: p is never below 1 / (1 + times drawn), and Holm
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
        raise ValueError(f"runs by queries of finite values are needed, not {values.shape}")
    n_runs = len(values)
    if not 0 <= best < n_runs:
        raise ValueError(f"there is no run {best} among {n_runs}")
    differences = (values - values[best]).T
    affordable = min(_PER_RUN * n_runs, int(_MOST_WORK / values.size))
    draws = max(permutations, affordable, _LEAST_PER_RUN * n_runs)
    as_far = _as_far(differences, seed=seed, draws=draws)
    p_value = (1 + as_far) / (1 + draws)
    adjusted = np.ones(n_runs)
    others = np.arange(n_runs) != best
    adjusted[others] = holm(p_value[others])
    return Comparison(
        difference=differences.mean(axis=0),
        p_value=p_value,
        adjusted=adjusted,
        tied=adjusted >= ALPHA,
        at_most=as_far == 0,
    )


def _as_far(
    differences: npt.NDArray[np.float64], *, seed: int, draws: int
) -> npt.NDArray[np.int64]:
    """How many flips of sign bring each column's sum as far from 0 as it is."""
    n_query, n_runs = differences.shape
    total = differences.sum(axis=0)
    # What is equal but for rounding counts as equal: the test must not be lenient by accident.
    threshold = np.abs(total) - _ROUNDING * np.abs(differences).sum(axis=0)
    single = np.ascontiguousarray(differences, dtype=np.float32)  # twice as fast
    rng = np.random.default_rng(seed)
    as_far = np.zeros(n_runs, dtype=np.int64)
    rows = max(1, _BLOCK // max(n_query, n_runs))
    for start in range(0, draws, rows):
        size = (min(rows, draws - start), -(-n_query // 8))
        bits = rng.integers(0, 256, size, dtype=np.uint8)
        flipped = np.unpackbits(bits, axis=1, count=n_query).astype(np.float32)
        sums = total - 2 * (flipped @ single)
        as_far += (np.abs(sums) >= threshold).sum(axis=0)
    return as_far


def holm(p_values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """P values corrected for their number, step by step downward (Holm 1979).

    The smallest is multiplied by their number m, the next by m - 1, and so on; none ends below
    one that was smaller before, or above 1.

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
