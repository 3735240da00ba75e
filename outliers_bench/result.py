"""Outcome of a run: the ranking, its scores and costs, and its record in MLflow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from outliers_bench.evaluation.evaluate import Evaluation
from outliers_bench.evaluation.statistics import name_scores
from outliers_bench.runtime.meter import Costs
from outliers_bench.types import RGB, Ranking, Split

if TYPE_CHECKING:
    from outliers_bench.leakage.bursts import Bursts
    from outliers_bench.leakage.find import Leaks

RECORDED_DEPTH = 300  # hits per query in ranking.parquet, if the metrics need as many


@dataclass(frozen=True, eq=False)
class LeakageScores:
    """Scores of the same method on the same photos with, or without, leaked photos.

    Parameters
    ----------
    name : {"without_leaks", "with_leaks"}
        Prefix of the metrics.
    evaluation : Evaluation
        Scores with their intervals.
    """

    name: Literal["without_leaks", "with_leaks"]
    evaluation: Evaluation

    @property
    def metrics(self) -> dict[str, float]:
        """Scores by name in MLflow, such as `without_leaks/hit_at_1`."""
        return {f"{self.name}/{name}": v for name, v in name_scores(self.evaluation).items()}

    @property
    def intervals(self) -> dict[str, tuple[float, float]]:
        """95% intervals under the same names."""
        return {f"{self.name}/{name}": v for name, v in self.evaluation.intervals.items()}


@dataclass(frozen=True, eq=False)
class BurstScores:
    """Scores of the same ranking in which photos of the query's own burst are excluded.

    Parameters
    ----------
    bursts : Bursts
    evaluation : Evaluation
        Scores with their intervals, of the queries that have other relevant photos.
    own : dict of str to float
        Scores of the same queries with their bursts; empty if these are the scores of the run.
    """

    bursts: Bursts
    evaluation: Evaluation
    own: dict[str, float]

    @classmethod
    def compare(cls, bursts: Bursts, full: Evaluation, without: Evaluation) -> BurstScores:
        """Compare the evaluations with and without bursts, on the same queries."""
        if len(full.scored) == len(without.scored):
            return cls(bursts, without, {})
        rows = np.isin(full.scored, without.scored)
        own = {name: float(values[rows].mean()) for name, values in full.per_query.items()}
        return cls(bursts, without, own)

    @property
    def metrics(self) -> dict[str, float]:
        """Scores and the number of queries by name in MLflow, such as `without_bursts/hit_at_1`."""
        return {
            **{f"without_bursts/{name}": v for name, v in self.evaluation.metrics.items()},
            **{f"with_bursts/{name}": v for name, v in self.own.items()},
            "queries_with_burst": self.bursts.queries,
        }

    @property
    def intervals(self) -> dict[str, tuple[float, float]]:
        """95% intervals under the same names."""
        return {f"without_bursts/{name}": v for name, v in self.evaluation.intervals.items()}


@dataclass(frozen=True, eq=False)
class Result:
    """One finished benchmark: ranking, scores and costs.

    Parameters
    ----------
    split : Split
    ranking : Ranking
        The first `RECORDED_DEPTH` hits; all hits that were scored if they take less than 240 MB.
    evaluation : Evaluation or None
        None if the query or gallery photos have no labels.
    costs : Costs
    leaks : Leaks or None
        Photos that are, or were, in two parts of the split; None without an audit.
    leakage_scores : LeakageScores or None
        Second score, if photos leak and queries are left to score.
    burst_scores : BurstScores or None
        Score without bursts, if photos taken together are in query and gallery.
    match_sheets : callable
        Draws more pictures of the method, by name, given the result and a number of queries.
    """

    split: Split
    ranking: Ranking
    evaluation: Evaluation | None
    costs: Costs
    leaks: Leaks | None = None
    leakage_scores: LeakageScores | None = None
    burst_scores: BurstScores | None = None
    match_sheets: Callable[[Result, int], Mapping[str, RGB]] = lambda *_: {}


@dataclass(frozen=True)
class RunHandle:
    """Run in MLflow; `uri` is the absolute tracking URI."""

    uri: str
    run_id: str
    experiment_id: str
    name: str
    artifact_uri: str


@dataclass(frozen=True)
class FinishedRun:
    """Run that finished earlier.

    `begun` is in seconds since 1970, `cluster` is the unit of `Evaluation.clusters`.
    """

    run_id: str
    name: str
    data: str
    begun: float
    metrics: Mapping[str, float]
    cluster: str = ""
