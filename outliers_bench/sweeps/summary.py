"""Summary of the runs of a sweep: ranking, counts, Markdown table and CSV."""

from __future__ import annotations

import io
import math
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from outliers_bench.evaluation.metrics import is_score
from outliers_bench.reports import numbers
from outliers_bench.reports.markdown import table
from outliers_bench.runtime.visible_text import write_csv
from outliers_bench.sweeps.trials import SHOWN, VALIDATION_TAG
from outliers_bench.tracking.runs import PARENT_TAG

if TYPE_CHECKING:
    from mlflow.entities import Run

_MAX_REASON = 120  # characters of an error message


@dataclass(frozen=True)
class RankedRuns:
    """Runs of a sweep ranked by its objective; those without a value are last, as they ran."""

    runs: Sequence[Run]  # best first
    objective: str

    @classmethod
    def from_tags(cls, tags: Mapping[str, str], runs: Sequence[Run]) -> RankedRuns:
        """Rank runs by the tags `objective` and `direction` of their sweep."""
        objective = tags.get("objective", "hit_at_1")
        sign = 1 if tags.get("direction") == "minimize" else -1

        def sort_key(run: Run) -> float:
            score = run.data.metrics.get(objective, math.nan)
            return math.inf if math.isnan(score) else sign * score

        return cls(sorted(runs, key=sort_key), objective)

    @property
    def shown(self) -> tuple[str, ...]:
        """Names of the metrics to show: the objective and common scores."""
        return tuple(dict.fromkeys([self.objective, *SHOWN]))

    def best(self) -> Run | None:
        """Return the best finished run; None if the runs were scored on different splits."""
        scored = [
            run
            for run in self.runs
            if run.info.status == "FINISHED" and self.objective in run.data.metrics
        ]
        splits = {run.data.tags.get("split_fingerprint") for run in scored}
        return scored[0] if len(splits) == 1 else None

    def parameters(self, run: Run) -> list[str]:
        """Return the overrides of a run that others do not have; all overrides if they have all."""
        all_overrides = [_overrides(other) for other in self.runs]
        own = [word for word in _overrides(run) if not word.startswith("data.evaluate=")]
        return [word for word in own if not all(word in other for other in all_overrides)] or own


@dataclass(frozen=True)
class Tally:
    """Numbers of finished and failed jobs of a sweep."""

    finished: int
    failed: int
    reused: int  # finished jobs that reused an earlier run
    not_started: int  # jobs without a run

    @classmethod
    def count(cls, statuses: Sequence[str | None], *, n_jobs: int, n_reused: int) -> Tally:
        """Count the statuses of the runs of a sweep; `n_jobs` is the expected number, or 0."""
        done = sum(status == "FINISHED" for status in statuses)
        return cls(
            finished=done + n_reused,
            failed=len(statuses) - done,
            reused=n_reused,
            not_started=max(0, n_jobs - len(statuses) - n_reused),
        )

    @property
    def unfinished(self) -> int:
        """Number of jobs that failed or did not start."""
        return self.failed + self.not_started

    def message(self) -> str:
        """Return a message such as `1 of 6 jobs finished, 1 failed, 4 not started`."""
        earlier = f" ({self.reused} by earlier runs)" if self.reused else ""
        parts = [f"{self.finished} of {self.finished + self.unfinished} jobs finished{earlier}"]
        parts += [f"{self.failed} failed"] if self.failed else []
        parts += [f"{self.not_started} not started"] if self.not_started else []
        return ", ".join(parts)


def _overrides(run: Run) -> list[str]:
    return shlex.split(run.data.tags.get("overrides", ""))


def runs_table(runs: Sequence[Run], shown: Sequence[str]) -> str:
    """Return a Markdown table of runs: name, scores, data and status."""
    rows = []
    for run in runs:
        metrics, tags = run.data.metrics, run.data.tags
        scores = [_format_metric(name, metrics[name]) if name in metrics else "" for name in shown]
        failure = re.sub(r"^(BenchError|WeightsUnavailableError): ", "", tags.get("failure", ""))
        outcome = failure[:_MAX_REASON] or run.info.status.lower()
        rows.append([run.info.run_name, *scores, tags.get("data", ""), outcome])
    return table(["run", *map(numbers.metric_title, shown), "data", "status"], rows)


def _format_metric(metric: str, value: float) -> str:
    return numbers.format_metric(metric, value) if is_score(metric) else numbers.format_rate(value)


def runs_csv(runs: Sequence[Run], parent_run_id: str, shown: Sequence[str]) -> str:
    """Return a CSV table of runs with all metrics, in full precision."""
    metrics = list(dict.fromkeys([*shown, *(name for run in runs for name in run.data.metrics)]))
    text = io.StringIO(newline="")
    header = ["run_id", "run", "status", "reused", "data", "overrides", "failure", *metrics]
    rows: list[list[object]] = [list(header)]
    for run in runs:
        tags = run.data.tags
        reused = "" if tags.get(PARENT_TAG) == parent_run_id else "yes"
        texts = [tags.get(name, "") for name in ("data", "overrides", "failure")]
        values = [run.data.metrics.get(name, "") for name in metrics]
        start = [run.info.run_id, run.info.run_name, run.info.status.lower(), reused]
        rows.append([*start, *texts, *values])
    write_csv(text, rows)
    return text.getvalue()


def find_final(parent: Run, runs: Sequence[Run]) -> tuple[Run | None, list[Run]]:
    """Return the run of a sweep's winner on the queries that it was not chosen on, and the others.

    It is None for a sweep without a validation part, or if it has not finished.
    """
    if VALIDATION_TAG not in parent.data.tags:
        return None, list(runs)
    finals = [
        run
        for run in runs
        if run.info.status == "FINISHED" and run.data.tags.get("evaluate") != VALIDATION_TAG
    ]
    return (finals[-1] if finals else None), [run for run in runs if run not in finals]


def copied_scores(run: Run, names: Sequence[str]) -> dict[str, float]:
    """Return the scores of a run that its sweep shows, and the ends of their intervals."""
    metrics = run.data.metrics
    wanted = [*names, *(f"ci95/{name}_{end}" for name in names for end in ("low", "high"))]
    return {name: metrics[name] for name in wanted if name in metrics}


def describe_parts(chosen: Run, final: Run, names: Sequence[str]) -> str:
    """Return a Markdown table of the winner's scores on validation and on the other queries."""
    parts = [run.data.metrics for run in (chosen, final)]
    text = table(["", "validation", "queries"], side_by_side(parts, names))
    return (
        f"{text}\n\nThe winner was chosen by its figures on validation, which are therefore too "
        "good; the other queries took no part in the choice."
    )


def side_by_side(parts: Sequence[Mapping[str, float]], names: Sequence[str]) -> list[list[str]]:
    """Return rows with the title of a metric, and its value and interval in each part."""

    def cell(metrics: Mapping[str, float], name: str) -> str:
        if name not in metrics:
            return ""
        text = _format_metric(name, metrics[name])
        low, high = (metrics.get(f"ci95/{name}_{end}") for end in ("low", "high"))
        if low is None or high is None:
            return text
        return f"{text} ({numbers.format_interval((low, high))})"

    shown = [name for name in names if any(name in metrics for metrics in parts)]
    rows = [[numbers.metric_title(name), *(cell(part, name) for part in parts)] for name in shown]
    counts = [f"{part['queries']:,.0f}" if "queries" in part else "" for part in parts]
    return [*rows, ["queries", *counts]]


def describe_best(best: Run, ranked: RankedRuns) -> str:
    """Return a Markdown sentence about the best run."""
    score = _format_metric(ranked.objective, best.data.metrics[ranked.objective])
    text = f"Best: **{best.info.run_name}**, {numbers.metric_title(ranked.objective)} **{score}**"
    return f"{text}, with `{' '.join(ranked.parameters(best)) or 'the defaults'}`"
