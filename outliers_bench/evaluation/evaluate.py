"""Computation of all metrics from a ranking and labels, overall and per class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from outliers_bench.errors import BenchError
from outliers_bench.evaluation.metrics import Scored, compute_metrics
from outliers_bench.types import IntArray, Ranking, Split

if TYPE_CHECKING:
    import pandas as pd


MIN_DEPTH = 10  # hits that are scored even if no cutoff and no R is as large


def count_relevant(split: Split) -> IntArray:
    """Count the relevant gallery images of each query, without those that are excluded.

    Returns
    -------
    array of int64, shape (n_query,)
    """
    query, gallery = split.query.labels, split.gallery.labels
    if query is None or gallery is None:
        raise ValueError("an image set without labels cannot be scored")
    per_class = np.bincount(gallery, minlength=len(split.gallery.classes))
    excluded = split.exclusion.with_equal(query, gallery).counts
    return per_class[query].astype(np.int64) - excluded


def evaluate(ranking: Ranking, split: Split, *, k: Sequence[int]) -> Evaluation:
    """Score a ranking.

    Queries without a relevant gallery image are excluded from every metric and counted. Hits beyond
    the largest of k, R and `MIN_DEPTH` are not scored: MRR is the same for a deeper ranking.

    Parameters
    ----------
    ranking : Ranking
        Rows in the order of `split.query`, at least as deep as the largest number of relevant
        images of a query, without the images that `split.excluded` excludes.
    split : Split
        Query and gallery, both labeled.
    k : sequence of int
        Cutoffs of hit_at_k and precision_at_k.

    Returns
    -------
    Evaluation

    Raises
    ------
    BenchError
        If no query has a relevant gallery image.
    ValueError
        If the ranking is too shallow for MAP@R or has an excluded image, or the split has no
        labels.
    """
    query, gallery = split.query, split.gallery
    total, exclusion = count_relevant(split), split.exclusion
    if exclusion.largest and exclusion.mask(slice(None), ranking.indices).any():
        raise ValueError(f"{split.name}: the ranking has images that are excluded for the query")
    scored = np.flatnonzero(total > 0).astype(np.int64)
    if scored.size == 0:
        raise BenchError(
            f"{split.name}: no query has a gallery image of its class, so nothing can be scored; "
            "query and gallery must share class names"
        )
    assert query.labels is not None  # noqa: S101 - count_relevant raises otherwise
    assert gallery.labels is not None  # noqa: S101
    labels, total = query.labels[scored], total[scored]
    depth = max(*k, int(total.max()), MIN_DEPTH)
    retrieved = gallery.labels[ranking.indices[scored, :depth]]
    inputs = Scored(retrieved == labels[:, None], total, labels, retrieved)
    scores, per_query = compute_metrics(inputs, k)
    return Evaluation(
        metrics=scores,
        per_query=per_query,
        scored=scored,
        per_class=_per_class(per_query, labels, query.classes),
        queries_without_relevant=len(query) - int(scored.size),
    )


def _per_class(
    per_query: dict[str, npt.NDArray[np.float64]], labels: IntArray, classes: Sequence[str]
) -> dict[str, dict[str, float]]:
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
    intervals : dict of str to tuple of float
        Lower and upper bound of the 95% interval of each metric, if computed.
    """

    metrics: dict[str, float]
    per_query: dict[str, npt.NDArray[np.float64]]
    scored: IntArray
    per_class: dict[str, dict[str, float]]
    queries_without_relevant: int
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)

    def frame(self, by: Literal["metric", "class", "query"] = "metric") -> pd.DataFrame:
        """Return the scores as a table.

        Parameters
        ----------
        by : {"metric", "class", "query"}
            `metric`: a row per metric, with the columns `value`, `low` and `high`, the bounds of
            the 95% interval, NaN if not computed. `class`: a row per class of the scored queries,
            with their number as `queries`. `query`: a row per scored query, by its position.

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
        return pd.DataFrame(rows, columns=["value", "low", "high"], index=index)
