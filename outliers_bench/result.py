"""Outcome of a run: the ranking, its scores and costs, and its record in MLflow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from outliers_bench.evaluation.evaluate import Evaluation
from outliers_bench.runtime.meter import Costs
from outliers_bench.types import Ranking, Split

if TYPE_CHECKING:
    from outliers_bench.leakage.find import Leaks


@dataclass(frozen=True, eq=False)
class LeakageScores:
    """What the same method scores on the same photos with, or without, those that leak.

    Parameters
    ----------
    name : {"without_leaks", "with_leaks"}
        Which of the two; begins the names of its metrics.
    evaluation : Evaluation
        Its scores, with their intervals.
    """

    name: Literal["without_leaks", "with_leaks"]
    evaluation: Evaluation

    @property
    def metrics(self) -> dict[str, float]:
        """The scores under their names in MLflow: `without_leaks/hit_at_1`."""
        return {f"{self.name}/{name}": v for name, v in self.evaluation.metrics.items()}

    @property
    def intervals(self) -> dict[str, tuple[float, float]]:
        """Their 95% intervals under the same names."""
        return {f"{self.name}/{name}": v for name, v in self.evaluation.intervals.items()}


@dataclass(frozen=True, eq=False)
class Result:
    """One finished benchmark: what was ranked, what it is worth, what it took.

    Parameters
    ----------
    split : Split
    ranking : Ranking
    evaluation : Evaluation or None
        None where the query or gallery photos have no labels.
    costs : Costs
    leaks : Leaks or None
        What stands, or stood, in two parts; None where nobody looked.
    leakage_scores : Beside or None
        The other score, where there are leaks and anything is left to be scored.
    """

    split: Split
    ranking: Ranking
    evaluation: Evaluation | None
    costs: Costs
    leaks: Leaks | None = None
    leakage_scores: LeakageScores | None = None


@dataclass(frozen=True)
class RunHandle:
    """A run as MLflow knows it; `uri` is absolute, artifacts lie under `artifact_uri`."""

    uri: str
    run_id: str
    experiment_id: str
    name: str
    artifact_uri: str


@dataclass(frozen=True)
class FinishedRun:
    """A run that was finished earlier; `begun` is in seconds since 1970."""

    run_id: str
    name: str
    data: str
    begun: float
    metrics: Mapping[str, float]
