"""Computation of all metrics from a ranking and labels, overall and per class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from outliers_bench.evaluation.clusters import Clusters
from outliers_bench.evaluation.cmc import CmcCurve
from outliers_bench.evaluation.metrics import (
    compute_per_query,
    compute_scores,
    determined_metrics,
    expected_by_chance,
    needs_whole_set,
)
from outliers_bench.evaluation.relevance import count_relevant, nothing_relevant
from outliers_bench.evaluation.scored import Scored
from outliers_bench.types import IntArray, Ranking, Split

if TYPE_CHECKING:
    import pandas as pd


_BLOCK_HITS = 2_000_000  # of a given ranking scored at once, over all its queries
MIN_DEPTH = 10  # hits that metrics for the whole set see, even if no cutoff is as large


def evaluate(ranking: Ranking, split: Split, *, k: Sequence[int]) -> Evaluation:
    """Score a ranking.

    Queries without a relevant gallery image are excluded from every metric and counted. A metric is
    reported only if the ranks that are given decide on it for every query, so that its value is
    the same for a deeper ranking: hit and precision need k ranks, MAP@R needs R, MRR the first
    relevant image, and mAP and mINP all of them.

    Parameters
    ----------
    ranking : Ranking
        Rows in the order of `split.query`, without the images that `split.excluded` excludes, to
        any depth; a row that ends before has the position -1 from there on.
    split : Split
        Query and gallery, both labeled.
    k : sequence of int
        Cutoffs of hit_at_k, precision_at_k and map_at_k.

    Returns
    -------
    Evaluation

    Raises
    ------
    BenchError
        If no query has a relevant gallery image.
    ValueError
        If the ranking decides on no metric or has an excluded image, or the split has no labels.
    """
    evaluator = Evaluator(split, k=k)
    n, size = len(ranking.indices), max(1, _BLOCK_HITS // max(1, ranking.depth))
    for start in range(0, n, size):
        rows = slice(start, min(start + size, n))
        evaluator.add(rows, Ranking(ranking.indices[rows], ranking.scores[rows]))
    return evaluator.result()


class Evaluator:
    """Score the rankings of blocks of queries, of which only the values are stored.

    Parameters
    ----------
    split, k
        See `evaluate`, which also lists what is raised.
    """

    def __init__(self, split: Split, *, k: Sequence[int]) -> None:
        query, gallery = split.query.labels, split.gallery.labels
        self._total = count_relevant(split)
        self._scored = np.flatnonzero(self._total > 0).astype(np.int64)
        if self._scored.size == 0:
            raise nothing_relevant(split)
        assert query is not None  # noqa: S101 - count_relevant raises otherwise
        assert gallery is not None  # noqa: S101
        self._split, self._k, self._query = split, k, query
        # The position -1, after the end of a ranking, gets the label -1.
        self._retrievable = np.append(gallery, -1)
        self._per_query: dict[str, npt.NDArray[np.float64]] = {}
        self._determined: set[str] = set()
        self._whole = self._allocate_whole() if needs_whole_set() else None

    def add(self, rows: slice | IntArray, ranking: Ranking) -> None:
        """Score the rankings of some queries, given their positions in `split.query`."""
        exclusion, indices = self._split.exclusion, ranking.indices
        if exclusion.largest and (exclusion.mask(rows, indices) & (indices >= 0)).any():
            raise ValueError(
                f"{self._split.name}: the ranking has images that are excluded for the query"
            )
        total = self._total[rows]
        inside = np.flatnonzero(total > 0)
        if not inside.size:
            return
        labels, total = self._query[rows][inside], total[inside]
        if len(inside) < len(indices):
            indices = indices[inside]
        retrieved = self._retrievable[indices]
        scored = Scored(retrieved == labels[:, None], total, labels, retrieved)
        at = np.searchsorted(self._scored, np.arange(len(self._query))[rows][inside])
        determined = determined_metrics(scored, self._k)
        self._determined = self._determined & determined if self._per_query else determined
        for name, values in compute_per_query(scored, self._k).items():
            if name not in self._per_query:
                self._per_query[name] = np.full(len(self._scored), np.nan)
            self._per_query[name][at] = values
        if self._whole is not None:
            width = min(self._whole.retrieved.shape[1], retrieved.shape[1])
            self._whole.relevant[at, :width] = scored.relevant[:, :width]
            self._whole.retrieved[at, :width] = retrieved[:, :width]

    def result(self) -> Evaluation:
        """Return the scores of all queries, after the last block."""
        per_query = {name: v for name, v in self._per_query.items() if name in self._determined}
        metrics = compute_scores(per_query, self._whole, self._k)
        if not metrics:
            raise ValueError(
                f"{self._split.name}: the ranking decides on no metric; rank more images, or give "
                "smaller cutoffs"
            )
        labels, total = self._query[self._scored], self._total[self._scored]
        available = self._split.exclusion.available[self._scored]
        chance = expected_by_chance(total, available, self._k)
        per_class = mean_by_class(per_query, labels, self._split.query.classes)
        return Evaluation(
            metrics=metrics,
            per_query=per_query,
            scored=self._scored,
            per_class=per_class,
            queries_without_relevant=len(self._query) - int(self._scored.size),
            total=total,
            available=available,
            chance={name: chance[name] for name in metrics if name in chance},
            balanced={
                name: float(np.mean([means[name] for means in per_class.values()]))
                for name in per_query
            },
        )

    def _allocate_whole(self) -> Scored:
        shape = len(self._scored), max(*self._k, MIN_DEPTH)
        relevant, retrieved = np.zeros(shape, np.bool_), np.full(shape, -1, np.int64)
        return Scored(relevant, self._total[self._scored], self._query[self._scored], retrieved)


def mean_by_class(
    per_query: dict[str, npt.NDArray[np.float64]], labels: IntArray, classes: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Return the number of queries of each class, and their mean metrics."""
    table: dict[str, dict[str, float]] = {}
    for label in np.unique(labels):
        rows = labels == label
        table[classes[label]] = {
            "queries": float(rows.sum()),
            **{name: float(values[rows].mean()) for name, values in per_query.items()},
        }
    return table


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Metrics of a ranking.

    Parameters
    ----------
    metrics : dict of str to float
        Scores by name in MLflow (`hit_at_1`, `map_at_r`, ...): means over the scored queries, or
        a score for the whole set.
    per_query : dict of str to array, shape (n_scored,)
        Metrics that have a value for each query, in the order of `scored`.
    scored : array of int64, shape (n_scored,)
        Positions of the queries that have at least one relevant gallery image.
    per_class : dict of str to dict of str to float
        Mean metrics over the scored queries of each class, and their number as `queries`.
    queries_without_relevant : int
        Number of queries excluded because they have no relevant gallery image.
    total : array of int64, shape (n_scored,)
        Number of relevant gallery images of each scored query.
    available : array of int64, shape (n_scored,)
        Number of gallery images that are not excluded for the query.
    chance : dict of str to float
        Expected scores if the gallery were in random order; see `chance`.
    balanced : dict of str to float
        Class-balanced means: the mean over classes of the means in `per_class`, so that each class
        counts the same, however many queries it has.
    cmc : CmcCurve or None
        Hit rate for every k, if computed.
    intervals : dict of str to tuple of float
        Lower and upper bound of the 95% interval of each metric, and of each class-balanced mean
        as `balanced/<metric>`, if computed.
    clusters : Clusters or None
        Clusters of the scored queries that the intervals resample, if computed.
    design_effects : dict of str to float
        Variance of each mean over clusters, as a multiple of that over independent queries; empty
        if every query is a cluster.
    smallest_differences : dict of str to float
        Difference to another run of the same spread that these queries can show, an upper bound;
        see `clusters.smallest_difference`.
    """

    metrics: dict[str, float]
    per_query: dict[str, npt.NDArray[np.float64]]
    scored: IntArray
    per_class: dict[str, dict[str, float]]
    queries_without_relevant: int
    total: IntArray
    available: IntArray
    chance: dict[str, float] = field(default_factory=dict)
    balanced: dict[str, float] = field(default_factory=dict)
    cmc: CmcCurve | None = None
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)
    clusters: Clusters | None = None
    design_effects: dict[str, float] = field(default_factory=dict)
    smallest_differences: dict[str, float] = field(default_factory=dict)

    def frame(self, by: Literal["metric", "class", "query"] = "metric") -> pd.DataFrame:
        """Return the scores as a table.

        Parameters
        ----------
        by : {"metric", "class", "query"}
            `metric`: a row per metric, with the columns `value`, `low` and `high`, the bounds of
            the 95% interval, NaN if not computed; and those of `balanced`, `chance`,
            `design_effect` and `smallest_difference` that were computed. `class`: a row per class
            of the scored queries, with their number as `queries`. `query`: a row per scored query,
            by its position.

        Returns
        -------
        pandas.DataFrame
        """
        import pandas as pd

        if by == "class":
            return pd.DataFrame.from_dict(self.per_class, orient="index").rename_axis("class")
        if by == "query":
            return pd.DataFrame(self.per_query, index=pd.Index(self.scored, name="query"))
        unknown = (float("nan"), float("nan"))
        rows = [(v, *self.intervals.get(name, unknown)) for name, v in self.metrics.items()]
        index = pd.Index(self.metrics, name="metric")
        frame = pd.DataFrame(rows, columns=["value", "low", "high"], index=index)
        more = {
            "balanced": self.balanced,
            "chance": self.chance,
            "design_effect": self.design_effects,
            "smallest_difference": self.smallest_differences,
        }
        return frame.assign(
            **{name: [of.get(m, np.nan) for m in self.metrics] for name, of in more.items() if of}
        )
