"""Metrics of a ranking: what each is called, what it needs, and how it is computed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from outliers_bench.evaluation.chance import (
    chance_of_average_precision,
    chance_of_average_precision_at_k,
    chance_of_average_precision_at_r,
    chance_of_hit,
    chance_of_inverse_penalty,
    chance_of_precision,
    chance_of_r_precision,
    chance_of_reciprocal_rank,
)
from outliers_bench.evaluation.rank_metrics import (
    average_precision,
    average_precision_at_k,
    average_precision_at_r,
    hit_at_k,
    inverse_penalty,
    precision_at_k,
    r_precision,
    reciprocal_rank,
)
from outliers_bench.evaluation.scored import Reach, Scored
from outliers_bench.types import IntArray

DEFINITIONS = "2"
"""Version of the definitions; in the identity of a run, and its tag `evaluation`.

With 2, MRR is of the full ranking; runs without the tag have counted hits beyond a depth as none.
"""

BALANCED = "balanced/"
"""Prefix of class-balanced means: of the queries of each class, then of the classes."""

_CUT_OFF = re.compile(r"(\w+_at_)(\d+)")
_COST = re.compile(
    r"dimensions|search_ms_per_query|\w+_bytes|(index_build|training|epoch)_seconds|seconds_\w+"
    r"|(val_)?loss|features_computed|keypoints_computed|queries_(without_|with_|of_un)\w+"
    r"|(rerank_)?images_(un|not_|without_|duplicate|conflicting)\w*|leaks_\w+"
)


@dataclass(frozen=True, eq=False)
class Metric:
    """A metric, or a family of metrics with a cutoff k.

    Parameters
    ----------
    name : str
        Name in MLflow; that of a family ends with `_at_k`.
    title : str
        Name in headings; that of a family contains `@k`.
    needs : tuple of str
        Fields of `Scored` that `compute` takes, in this order; a family takes k, too.
    compute : callable
        Returns an array of float64, shape (n_query,), of which no value depends on other queries;
        or a number, if the metric is for the whole set. Such a metric sees the ranks to the
        largest cutoff only, or to `MIN_DEPTH`.
    per_query : bool
        Whether it has a value for each query, from 0 to 1. The score is then their mean, with an
        interval and a paired test.
    higher_is_better : bool
        Whether the best value is the largest.
    decimals : int
        Decimals to show.
    reach : {"k", "R", "first", "last"}, optional
        Ranks that decide on the value; by default, to k for a family, else to the last relevant
        image. From a ranking that is cut before them, the metric is not reported.
    chance : callable, optional
        Expected value per query in random order; see `chance`. A family takes k, too.
    """

    name: str
    title: str
    needs: tuple[str, ...]
    compute: Callable[..., Any]
    per_query: bool = True
    higher_is_better: bool = True
    decimals: int = 3
    reach: Reach | None = None
    chance: Callable[..., npt.NDArray[np.float64]] | None = None

    @property
    def is_family(self) -> bool:
        """True if there is one metric for each cutoff."""
        return self.name.endswith("_at_k")

    def title_of(self, name: str) -> str:
        """Return the title of a metric, which may be one of this family."""
        k = name.removeprefix(self.name[:-1]) if self.is_family else ""
        return self.title.replace("@k", f"@{k}") if k else self.title

    def format(self, value: float) -> str:
        """Format a value."""
        return f"{value:.{self.decimals}f}"

    def names(self, k: Sequence[int]) -> dict[str, tuple[int, ...]]:
        """Return the name of the metric, or those of the family, and the cutoff of each."""
        if not self.is_family:
            return {self.name: ()}
        return {f"{self.name[:-1]}{cutoff}": (cutoff,) for cutoff in sorted(set(k))}

    def values(self, scored: Scored, k: Sequence[int]) -> Iterator[tuple[str, Any]]:
        """Yield name and result of the metric, or of the family for each cutoff."""
        inputs = [getattr(scored, field) for field in self.needs]
        for name, cutoff in self.names(k).items():
            yield name, self.compute(*inputs, *cutoff)

    def determined(self, scored: Scored, k: Sequence[int]) -> Iterator[str]:
        """Yield the names, as `names` has them, that the given ranks decide on for all queries."""
        reach: Reach = self.reach or ("k" if self.is_family else "last")
        for name, cutoff in self.names(k).items():
            if scored.is_determined(reach, *cutoff):
                yield name


METRICS: tuple[Metric, ...] = (
    Metric("hit_at_k", "hit@k", ("relevant",), hit_at_k, chance=chance_of_hit),
    Metric(
        "precision_at_k", "precision@k", ("relevant",), precision_at_k, chance=chance_of_precision
    ),
    Metric(
        "map_at_k",
        "MAP@k",
        ("relevant", "total"),
        average_precision_at_k,
        chance=chance_of_average_precision_at_k,
    ),
    Metric(
        "map_at_r",
        "MAP@R",
        ("relevant", "total"),
        average_precision_at_r,
        reach="R",
        chance=chance_of_average_precision_at_r,
    ),
    Metric(
        "map", "mAP", ("relevant", "total"), average_precision, chance=chance_of_average_precision
    ),
    Metric(
        "r_precision",
        "R-precision",
        ("relevant", "total"),
        r_precision,
        reach="R",
        chance=chance_of_r_precision,
    ),
    Metric(
        "mrr",
        "MRR",
        ("relevant",),
        reciprocal_rank,
        reach="first",
        chance=chance_of_reciprocal_rank,
    ),
    Metric(
        "minp", "mINP", ("relevant", "total"), inverse_penalty, chance=chance_of_inverse_penalty
    ),
)
"""All metrics, in the order in which they are shown. Another one is added here."""


def find_metric(name: str) -> Metric | None:
    """Return the metric of this name in MLflow, or its family; None if there is none.

    The class-balanced mean of a metric, `balanced/<metric>`, is the same metric.

    Examples
    --------
    >>> find_metric("hit_at_5").title_of("hit_at_5"), find_metric("recall_at_10")
    ('hit@5', None)
    """
    name = name.removeprefix(BALANCED)
    family = _CUT_OFF.sub(r"\1k", name) if _CUT_OFF.fullmatch(name) else name
    has_cutoff = family != name
    found = (each for each in METRICS if each.name == family and each.is_family == has_cutoff)
    return next(found, None)


def cutoff_of(name: str) -> int | None:
    """Return the cutoff of a metric of a family; None for other metrics."""
    metric, match = find_metric(name), _CUT_OFF.fullmatch(name.removeprefix(BALANCED))
    return int(match[2]) if metric is not None and metric.is_family and match else None


def is_score(metric: str) -> bool:
    """Check whether a metric measures the quality of a ranking by labels."""
    return find_metric(metric) is not None


def lower_is_better(metric: str) -> bool:
    """Check whether a metric is a cost; scores, speeds and recall are better if higher."""
    score = find_metric(metric)
    return _COST.fullmatch(metric) is not None if score is None else not score.higher_is_better


def needs_whole_set() -> bool:
    """Check whether a metric is for the whole set, not for each query."""
    return not all(metric.per_query for metric in METRICS)


def compute_per_query(
    scored: Scored, k: Sequence[int], *, metrics: Iterable[Metric] | None = None
) -> dict[str, npt.NDArray[np.float64]]:
    """Compute the metrics that have a value for each query, by default all.

    Returns
    -------
    dict of str to array of float64, shape (n_query,)
        By name; a family has a metric for each cutoff of k.
    """
    chosen = METRICS if metrics is None else metrics
    return {
        name: values
        for metric in chosen
        if metric.per_query
        for name, values in metric.values(scored, k)
    }


def determined_metrics(scored: Scored, k: Sequence[int]) -> set[str]:
    """Return the names of the metrics whose values the given ranks decide on, for every query.

    These values stay the same however many ranks follow.
    """
    return {name for metric in METRICS for name in metric.determined(scored, k)}


def expected_by_chance(total: IntArray, available: IntArray, k: Sequence[int]) -> dict[str, float]:
    """Compute the chance level of every metric: its expected mean for a gallery in random order.

    Parameters
    ----------
    total : array of int64, shape (n_query,)
        Number of relevant gallery images of each query, at least 1.
    available : array of int64, shape (n_query,)
        Number of gallery images that are not excluded for the query.
    k : sequence of int
        Cutoffs.
    """
    pairs, queries = np.unique(np.stack([total, available]), axis=1, return_counts=True)
    return {
        name: float(np.average(metric.chance(*pairs, *cutoff), weights=queries))
        for metric in METRICS
        if metric.chance is not None
        for name, cutoff in metric.names(k).items()
    }


def compute_scores(
    per_query: Mapping[str, npt.NDArray[np.float64]], whole: Scored | None, k: Sequence[int]
) -> dict[str, float]:
    """Compute the score of every metric.

    Parameters
    ----------
    per_query : mapping of str to array of float64, shape (n_query,)
        Values of the metrics that have one for each query and are determined; the score is their
        mean.
    whole : Scored or None
        All queries, for the metrics that are computed for the whole set, if there are any.
    k : sequence of int
        Cutoffs.
    """
    scores: dict[str, float] = {}
    for metric in METRICS:
        if metric.per_query:
            known = [name for name in metric.names(k) if name in per_query]
            scores |= {name: float(np.mean(per_query[name])) for name in known}
        elif whole is not None:
            scores |= {name: float(value) for name, value in metric.values(whole, k)}
    return scores
