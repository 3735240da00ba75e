"""The runs of a sweep side by side: best first, as a table, as CSV, and the best one praised."""

from __future__ import annotations

import csv
import io
import math
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from outliers_bench.evaluation.metric_names import is_score
from outliers_bench.reports import numbers as readable
from outliers_bench.reports.markdown import table
from outliers_bench.tracking.runs import PARENT_TAG

if TYPE_CHECKING:
    from mlflow.entities import Run

_SHOWN = ("hit_at_1", "hit_at_5", "hit_at_10", "map_at_r")
_REASON = 120  # characters of why a run failed


@dataclass(frozen=True)
class Ranked:
    """The runs of a sweep by its objective, best first, and the metrics to show of them.

    Parameters
    ----------
    runs : sequence of Run
        Those without a score last, in the order they ran.
    objective : str
        The metric that the best is best in.
    """

    runs: Sequence[Run]
    objective: str

    @classmethod
    def by(cls, tags: Mapping[str, str], runs: Sequence[Run]) -> Ranked:
        """Order runs as the tags `objective` and `direction` of their sweep say."""
        objective = tags.get("objective", "hit_at_1")
        sign = 1 if tags.get("direction") == "minimize" else -1

        def place(run: Run) -> float:  # those without a score last, in the order they ran
            score = run.data.metrics.get(objective, math.nan)
            return math.inf if math.isnan(score) else sign * score

        return cls(sorted(runs, key=place), objective)

    @property
    def shown(self) -> tuple[str, ...]:
        """The objective and the usual scores."""
        return tuple(dict.fromkeys([self.objective, *_SHOWN]))

    def best(self) -> Run | None:
        """The best finished run, if all were asked the same questions."""
        scored = [
            run
            for run in self.runs
            if run.info.status == "FINISHED" and self.objective in run.data.metrics
        ]
        splits = {run.data.tags.get("split_fingerprint") for run in scored}
        return scored[0] if len(splits) == 1 else None

    def parameters(self, run: Run) -> list[str]:
        """The overrides that tell a run from the others; all of its own where nothing does."""
        said = [_overrides(other) for other in self.runs]
        own = _overrides(run)
        return [word for word in own if not all(word in other for other in said)] or own


@dataclass(frozen=True)
class Tally:
    """What became of the jobs of a sweep, in numbers.

    Parameters
    ----------
    finished, failed : int
        Jobs that came to their end, well or not.
    found : int
        Those of the finished that found their work done by an earlier run.
    not_begun : int
        Jobs that never came to have a run.
    """

    finished: int
    failed: int
    found: int
    not_begun: int

    @classmethod
    def of(cls, tags: Mapping[str, str], own: Sequence[Run], *, n_found: int) -> Tally:
        """Count the runs of a sweep; its tag `n_jobs` says how many there should be."""
        done = sum(run.info.status == "FINISHED" for run in own)
        told = int(tags.get("n_jobs", 0))
        return cls(
            finished=done + n_found,
            failed=len(own) - done,
            found=n_found,
            not_begun=max(0, told - len(own) - n_found),
        )

    @property
    def unfinished(self) -> int:
        """Jobs that did not finish, whether they began or not."""
        return self.failed + self.not_begun

    def told(self) -> str:
        """In words, such as `1 of 6 jobs finished, 1 failed, 4 not begun`."""
        earlier = f" ({self.found} of them before)" if self.found else ""
        parts = [f"{self.finished} of {self.finished + self.unfinished} jobs finished{earlier}"]
        parts += [f"{self.failed} failed"] if self.failed else []
        parts += [f"{self.not_begun} not begun"] if self.not_begun else []
        return ", ".join(parts)


def _overrides(run: Run) -> list[str]:
    return shlex.split(run.data.tags.get("overrides", ""))


def rows_table(runs: Sequence[Run], shown: Sequence[str]) -> str:
    """Runs as a Markdown table: names, scores, what became of them; the page cuts wide ones."""
    rows = []
    for run in runs:
        metrics, tags = run.data.metrics, run.data.tags
        scores = [_said(name, metrics[name]) if name in metrics else "" for name in shown]
        failure = re.sub(r"^(BenchError|WeightsUnavailableError): ", "", tags.get("failure", ""))
        outcome = failure[:_REASON] or run.info.status.lower()
        rows.append([run.info.run_name, *scores, tags.get("data", ""), outcome])
    return table(["run", *map(readable.title, shown), "data", "status"], rows)


def _said(metric: str, value: float) -> str:
    return readable.score(value) if is_score(metric) else readable.rate(value)


def whole_csv(runs: Sequence[Run], parent_run_id: str, shown: Sequence[str]) -> str:
    """Every run with every metric, in full precision."""
    metrics = list(dict.fromkeys([*shown, *(name for run in runs for name in run.data.metrics)]))
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["run_id", "run", "status", "before", "data", "overrides", "failure", *metrics])
    for run in runs:
        tags = run.data.tags
        before = "" if tags.get(PARENT_TAG) == parent_run_id else "yes"
        told = [tags.get(name, "") for name in ("data", "overrides", "failure")]
        numbers = [run.data.metrics.get(name, "") for name in metrics]
        start = [run.info.run_id, run.info.run_name, run.info.status.lower(), before]
        writer.writerow([*start, *told, *numbers])
    return text.getvalue()


def praise(best: Run, ranked: Ranked) -> str:
    """The best run in a sentence of Markdown."""
    score = _said(ranked.objective, best.data.metrics[ranked.objective])
    praise = f"Best: **{best.info.run_name}**, {readable.title(ranked.objective)} **{score}**"
    return f"{praise}, with `{' '.join(ranked.parameters(best)) or 'the defaults'}`"
