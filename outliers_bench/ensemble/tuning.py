"""Tuning of an ensemble on a part of train: member weights and score calibration."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import permutations

import numpy as np

from outliers_bench.ensemble.fusion import Contributions, select_top
from outliers_bench.evaluation import average_precision_at_r
from outliers_bench.types import BoolArray, IntArray, Ranking, Split

# Weight, of a total of 1, that is moved from one member to another: coarse to fine.
_STEPS = (0.25, 0.1, 0.05)


def relevance(split: Split) -> BoolArray:
    """Compute which gallery images of a labeled split are relevant, shape (n_query, n)."""
    if split.query.labels is None or split.gallery.labels is None:
        raise ValueError("query and gallery must have labels")
    return np.equal.outer(split.query.labels, split.gallery.labels)


def tune_weights(
    members: Sequence[Contributions], relevant: BoolArray, order: IntArray
) -> tuple[list[float], float]:
    """Tune member weights for MAP@R by pattern search.

    The search starts at equal weights or at the best member alone, whichever is better, and moves
    weight from one member to another as long as MAP@R increases. So on these photos the result is
    at least as good as every member and as equal weights.

    Parameters
    ----------
    members : sequence of array of float64, shape (n_query, n)
        Contributions of each member to every gallery item.
    relevant : array of bool, shape (n_query, n)
        True if a gallery item is relevant; at least one is.
    order : array of int64, shape (n,)
        Of equal sums, the item that is first in it ranks first.

    Returns
    -------
    weights : list of float
        At least 0, with a sum of 1.
    map_at_r : float
        MAP@R of these weights on these photos.
    """
    count, total = len(members), relevant.sum(axis=1)
    scored = np.flatnonzero(total)
    stack = np.stack([member[scored] for member in members])

    @cache
    def map_at_r(weights: tuple[float, ...]) -> float:
        similarity = np.tensordot(np.array(weights), stack, 1)
        indices, _ = select_top(similarity, int(total.max()), order)
        is_relevant = np.take_along_axis(relevant[scored], indices, axis=1)
        return float(average_precision_at_r(is_relevant, total[scored]).mean())

    corners = [tuple(float(i == member) for i in range(count)) for member in range(count)]
    weights = max([(1 / count,) * count, *corners], key=map_at_r)
    for step in _STEPS:
        improved = True
        while improved:
            improved = False
            for source, target in permutations(range(count), 2):
                candidate = _move_weight(weights, source, target, step)
                if map_at_r(candidate) > map_at_r(weights):
                    weights, improved = candidate, True
    return list(weights), map_at_r(weights)


def fit_slope(ranking: Ranking, relevant: BoolArray) -> float:
    """Fit the slope of the log-odds that a hit is relevant as a function of its score.

    This is Platt scaling without the intercept, which does not change a ranking.

    Parameters
    ----------
    ranking : Ranking
        Ranking of the queries in `relevant`.
    relevant : array of bool, shape (n_query, n)
        True if a gallery item is relevant.

    Returns
    -------
    float
        At least 0: a member whose scores are negatively correlated is ignored.

    References
    ----------
    J. Platt, "Probabilistic Outputs for Support Vector Machines and Comparisons to Regularized
    Likelihood Methods", 1999.
    """
    from sklearn.linear_model import LogisticRegression

    is_relevant = np.take_along_axis(relevant, ranking.indices, axis=1).ravel()
    scores = ranking.scores.astype(np.float64).ravel()
    spread = float(scores.std())
    if spread == 0 or is_relevant.all() or not is_relevant.any():
        return 0.0
    # Scaled to unit deviation, since the penalty of the regression depends on the scale.
    fit = LogisticRegression(C=1e6).fit((scores / spread)[:, None], is_relevant)
    return max(float(fit.coef_[0, 0]) / spread, 0.0)


def _move_weight(
    weights: tuple[float, ...], source: int, target: int, step: float
) -> tuple[float, ...]:
    amount = min(step, weights[source])
    new_weights = list(weights)
    new_weights[source] -= amount
    new_weights[target] += amount
    return tuple(round(weight, 9) for weight in new_weights)
