"""What an ensemble learns from a part of train: its members' weights, and what a score is worth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import permutations

import numpy as np

from outliers_bench.ensemble.fusion import Contributions, best
from outliers_bench.evaluation import average_precision_at_r
from outliers_bench.types import BoolArray, IntArray, Ranking, Split

# Coarse to fine.
_STEPS = (0.25, 0.1, 0.05)  # of the sum of all weights, that move from one member to another


def relevance(split: Split) -> BoolArray:
    """Whether each gallery image of a labeled split is right for each query, (n_query, n)."""
    if split.query.labels is None or split.gallery.labels is None:
        raise ValueError("photos without labels say nothing about what is right")
    return np.equal.outer(split.query.labels, split.gallery.labels)


def tuned(
    members: Sequence[Contributions], relevant: BoolArray, order: IntArray
) -> tuple[list[float], float]:
    """Weights with the best MAP@R that a pattern search finds.

    Begins at equal weights or at the best member alone, whichever is better, and moves weight from
    one member to another as long as that helps: on the photos that it looks at, what it ends with
    is at least as good as every member and as equal weights.

    Parameters
    ----------
    members : sequence of array of float64, shape (n_query, n)
        What each member says of every gallery item.
    relevant : array of bool, shape (n_query, n)
        Whether a gallery item is right; at least one is.
    order : array of int64, shape (n,)
        Of equal sums, the item that comes first in it wins.

    Returns
    -------
    weights : list of float
        At least 0, adding up to 1.
    map_at_r : float
        What they reach on these photos.
    """
    count, worth = len(members), _worth(members, relevant, order)
    corners = [tuple(float(at == one) for at in range(count)) for one in range(count)]
    found = max([(1 / count,) * count, *corners], key=worth)
    for step in _STEPS:
        better = True
        while better:
            better = False
            for giver, taker in permutations(range(count), 2):
                tried = _moved(found, giver, taker, step)
                if worth(tried) > worth(found):
                    found, better = tried, True
    return list(found), worth(found)


def slope(ranking: Ranking, relevant: BoolArray) -> float:
    """How fast the log-odds that a hit is right grow with its score (Platt scaling).

    Parameters
    ----------
    ranking : Ranking
        Of the queries in `relevant`.
    relevant : array of bool, shape (n_query, n)
        Whether a gallery item is right.

    Returns
    -------
    float
        At least 0: a member whose scores mislead says nothing.

    References
    ----------
    J. Platt, "Probabilistic Outputs for Support Vector Machines and Comparisons to Regularized
    Likelihood Methods", 1999.
    """
    from sklearn.linear_model import LogisticRegression

    right = np.take_along_axis(relevant, ranking.indices, axis=1).ravel()
    scores = ranking.scores.astype(np.float64).ravel()
    spread = float(scores.std())
    if spread == 0 or right.all() or not right.any():
        return 0.0
    # In units of their deviation, since the regression's penalty depends on the unit.
    fit = LogisticRegression(C=1e6).fit((scores / spread)[:, None], right)
    return max(float(fit.coef_[0, 0]) / spread, 0.0)


def _moved(weights: tuple[float, ...], giver: int, taker: int, step: float) -> tuple[float, ...]:
    given = min(step, weights[giver])
    moved = list(weights)
    moved[giver] -= given
    moved[taker] += given
    return tuple(round(weight, 9) for weight in moved)


def _worth(
    members: Sequence[Contributions], relevant: BoolArray, order: IntArray
) -> Callable[[tuple[float, ...]], float]:
    """MAP@R as a function of the weights, which remembers what it was asked."""
    total = relevant.sum(axis=1)
    scored = np.flatnonzero(total)
    stack = np.stack([member[scored] for member in members])
    known: dict[tuple[float, ...], float] = {}

    def worth(weights: tuple[float, ...]) -> float:
        if weights not in known:
            indices, _ = best(np.tensordot(np.array(weights), stack, 1), int(total.max()), order)
            right = np.take_along_axis(relevant[scored], indices, axis=1)
            known[weights] = float(average_precision_at_r(right, total[scored]).mean())
        return known[weights]

    return worth
