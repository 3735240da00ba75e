"""Statistics of an evaluation: clusters of queries, intervals, design effects."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from outliers_bench.evaluation.choose_clusters import AUTO, QUERY, choose_unit, make_clusters
from outliers_bench.evaluation.clusters import Clusters, design_effect, smallest_difference
from outliers_bench.evaluation.cmc import cmc_curve, hits_by_rank
from outliers_bench.evaluation.evaluate import Evaluation
from outliers_bench.evaluation.intervals import confidence_intervals
from outliers_bench.evaluation.metrics import BALANCED
from outliers_bench.types import IntArray, Split


def add_statistics(
    evaluation: Evaluation, split: Split, *, cluster: str = AUTO, seed: int = 0
) -> Evaluation:
    """Return an evaluation with clusters, and with the statistics over them.

    Parameters
    ----------
    evaluation : Evaluation
    split : Split
        With labels.
    cluster : str
        See `choose_clusters.Statistics`.
    seed : int
        Seed of the intervals.

    Returns
    -------
    Evaluation
        With `clusters`, `intervals` (also of the class-balanced means, as `balanced/<metric>`),
        `design_effects` and `smallest_differences`; `cmc`, if the ranking decides on MRR.

    Raises
    ------
    BenchError
        If the queries have no column `cluster`.
    """
    clusters = make_clusters(split, choose_unit(split, cluster), evaluation.scored)
    query = split.query.labels
    labels = None if query is None else query[evaluation.scored]
    return compute_statistics(evaluation, clusters, labels=labels, seed=seed)


def compute_statistics(
    evaluation: Evaluation, clusters: Clusters, *, labels: IntArray | None, seed: int = 0
) -> Evaluation:
    """Return an evaluation with the statistics over given clusters; see `add_statistics`.

    `labels` are those of the scored queries, shape (n_scored,).
    """
    independent = clusters.unit == QUERY and clusters.n == len(clusters.ids)
    ids = None if independent else clusters.ids
    first = evaluation.per_query.get("mrr")
    hits = {} if first is None else hits_by_rank(first, evaluation.available)
    # Together, because drawing the resamples takes most of the time.
    found = confidence_intervals({**hits, **evaluation.per_query}, seed=seed, clusters=ids)
    intervals = {name: found[name] for name in evaluation.per_query}
    if evaluation.balanced and labels is not None:
        weights = class_weights(labels)
        balanced = intervals  # the same if all classes have as many queries
        if np.ptp(weights):
            balanced = confidence_intervals(
                evaluation.per_query, seed=seed, clusters=ids, weights=weights
            )
        intervals = intervals | {f"{BALANCED}{name}": ends for name, ends in balanced.items()}
    effects, smallest = {}, {}
    for name, values in evaluation.per_query.items():
        if ids is not None:
            effects[name] = design_effect(values, clusters=ids)
        smallest[name] = smallest_difference(values, clusters=ids)
    return replace(
        evaluation,
        clusters=clusters,
        intervals=intervals,
        cmc=cmc_curve(hits, found, evaluation.total, evaluation.available) if hits else None,
        design_effects=_without_nan(effects),
        smallest_differences=_without_nan(smallest),
    )


def cluster_unit(evaluation: Evaluation) -> str:
    """Return the unit of the clusters; `query` if they were not computed."""
    return QUERY if evaluation.clusters is None else evaluation.clusters.unit


def name_scores(evaluation: Evaluation) -> dict[str, float]:
    """Return the scores by their names in MLflow, the class-balanced means last."""
    balanced = {f"{BALANCED}{name}": value for name, value in evaluation.balanced.items()}
    return {**evaluation.metrics, **balanced}


def name_statistics(evaluation: Evaluation) -> dict[str, float]:
    """Return what the scores are worth, by names in MLflow.

    Number of `clusters`, and for each metric the score of a random order, `chance/<metric>`; the
    `design_effect/<metric>`; and the difference that the queries can show,
    `smallest_difference/<metric>`.
    """
    by_prefix = {
        "chance": evaluation.chance,
        "design_effect": evaluation.design_effects,
        "smallest_difference": evaluation.smallest_differences,
    }
    clusters = evaluation.clusters
    return {
        **({} if clusters is None else {"clusters": float(clusters.n)}),
        **{f"{prefix}/{name}": v for prefix, of in by_prefix.items() for name, v in of.items()},
    }


def class_weights(labels: IntArray) -> npt.NDArray[np.float64]:
    """Return weights of queries by which every class has the same weight in a mean.

    Parameters
    ----------
    labels : array of int64, shape (n_query,)

    Returns
    -------
    array of float64, shape (n_query,)
        Sum 1.

    Examples
    --------
    >>> class_weights(np.array([7, 7, 3]))
    array([0.25, 0.25, 0.5 ])
    """
    _, at, counts = np.unique(labels, return_inverse=True, return_counts=True)
    return np.asarray(1 / (len(counts) * counts[at.reshape(-1)]), dtype=np.float64)


def _without_nan(values: dict[str, float]) -> dict[str, float]:
    """Return the values without those that cannot be estimated."""
    return {name: value for name, value in values.items() if not math.isnan(value)}
