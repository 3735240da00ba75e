"""Evaluation of one method on several splits, over the queries of all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from outliers_bench.evaluation.choose_clusters import number_clusters
from outliers_bench.evaluation.clusters import Clusters
from outliers_bench.evaluation.evaluate import Evaluation, mean_by_class
from outliers_bench.evaluation.statistics import compute_statistics


def pool_evaluations(
    evaluations: Sequence[Evaluation],
    *,
    labels: Sequence[str],
    clusters: Sequence[str],
    unit: str,
    seed: int = 0,
) -> Evaluation:
    """Pool the scored queries of several splits.

    Scores are means over all of them, so that a split counts as often as it has queries; a score of
    a whole set is the mean over the splits.

    Parameters
    ----------
    evaluations : sequence of Evaluation
        One for each split.
    labels, clusters : sequence of str, length n_scored in all splits
        Class and cluster of each scored query. An individual, or a photo, in several splits is
        one cluster.
    unit : str
        Kind of the clusters; see `Clusters`.
    seed : int
        Seed of the intervals.
    """
    names = [
        name
        for name in evaluations[0].per_query
        if all(name in each.per_query for each in evaluations)
    ]
    per_query = {
        name: np.concatenate([each.per_query[name] for each in evaluations]) for name in names
    }
    counts = np.array([len(each.scored) for each in evaluations], np.float64)
    whole = {
        name: float(np.average([each.metrics[name] for each in evaluations], weights=counts))
        for name in evaluations[0].metrics
        if name not in per_query and all(name in each.metrics for each in evaluations)
    }
    chance = {
        name: float(np.average([each.chance[name] for each in evaluations], weights=counts))
        for name in evaluations[0].chance
        if all(name in each.chance for each in evaluations)
    }
    classes, numbers = np.unique(np.array(labels, dtype=object).astype(str), return_inverse=True)
    ids = numbers.reshape(-1).astype(np.int64)
    per_class = mean_by_class(per_query, ids, classes.tolist())
    pooled = replace(
        evaluations[0],
        metrics={name: float(values.mean()) for name, values in per_query.items()} | whole,
        per_query=per_query,
        scored=np.arange(len(labels), dtype=np.int64),
        per_class=per_class,
        queries_without_relevant=sum(each.queries_without_relevant for each in evaluations),
        balanced={
            name: float(np.mean([values[name] for values in per_class.values()])) for name in names
        },
        chance=chance,
        total=np.concatenate([each.total for each in evaluations]),
        available=np.concatenate([each.available for each in evaluations]),
    )
    return compute_statistics(
        pooled, Clusters(unit, number_clusters(clusters)), labels=ids, seed=seed
    )


def spread(values: Sequence[float]) -> float:
    """Return the standard deviation between splits, of n values with the divisor n - 1.

    Examples
    --------
    >>> spread([0.25, 0.75])
    0.3535533905932738
    """
    return float(np.std(values, ddof=1))
