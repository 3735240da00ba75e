"""The runs in MLflow that a leaderboard is asked for, and their figures."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from outliers_bench.config import renamed
from outliers_bench.errors import BenchError
from outliers_bench.leaderboard.published_rows import Figures
from outliers_bench.tracking.lookup import search_runs

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

_NEWEST_FIRST = "attributes.start_time DESC"


@dataclass(frozen=True)
class Found:
    """The runs that a question matches, newest first: finished ones once an identity."""

    finished: list[Run]
    others: list[Run]


def find(
    client: MlflowClient,
    figures: Figures,
    *,
    experiment: str | None,
    data: str | None,
    runs: Sequence[Run] | None,
) -> Found:
    """Look for the runs; the parameters are those of `read_boards`.

    Raises
    ------
    BenchError
        If there is no such experiment.
    """
    experiments = None
    if experiment is not None:
        known = client.get_experiment_by_name(experiment)
        if known is None:
            names = ", ".join(other.name for other in client.search_experiments())
            raise BenchError(f"no experiment {experiment}; there is {names}")
        experiments = [known.experiment_id]
    # A run that was refused before its photos were known says nothing of them.
    every = [
        run
        for run in _candidates(client, experiments, runs)
        if data is None or run.data.tags.get("data", data) == data
    ]
    newest: dict[str, Run] = {}
    for run in every:
        if run.info.status == "FINISHED" and (data is None or "data" in run.data.tags):
            newest.setdefault(identity(run), run)
    figures.learn(every, identity)
    others = [run for run in every if run.info.status != "FINISHED"]
    return Found(
        [run for run in newest.values() if figures.wants(identity(run))],
        [run for run in others if figures.wants_tagged(run)],
    )


def _candidates(
    client: MlflowClient, experiments: Sequence[str] | None, runs: Sequence[Run] | None
) -> Iterable[Run]:
    """Runs, not sweeps, newest first."""
    if runs is None:
        found = search_runs(
            client, "tags.kind = 'run'", experiments=experiments, order=_NEWEST_FIRST
        )
        return map(with_current_names, found)
    return sorted(
        (
            run
            for run in runs
            if run.data.tags.get("kind") == "run"
            and run.info.lifecycle_stage == "active"
            and (experiments is None or run.info.experiment_id in experiments)
        ),
        key=lambda run: -int(run.info.start_time or 0),
    )


def with_current_names(run: Run) -> Run:
    """Return a run of an earlier version under today's names of tags, metrics and options."""
    from mlflow.entities import Metric, Param, Run, RunData, RunTag

    tags, params = run.data.tags, run.data.params
    if "reduction" in tags or not set(renamed.TAGS) & set(tags):
        return run
    tags = renamed.update_names(tags, renamed.TAGS)
    tags |= {
        "overrides": renamed.update_overrides(tags.get("overrides", "")),
        # A number alone was a PCA.
        "reduction": re.sub(r"^(L2 )?(?=\d)", r"\1PCA ", tags.get("reduction", "")),
    }
    metrics = renamed.update_names(run.data.metrics, renamed.METRICS)
    params = renamed.update_names(params, renamed.OPTIONS)
    data = RunData(
        metrics=[Metric(name, value, 0, 0) for name, value in metrics.items()],
        params=[Param(name, value) for name, value in params.items()],
        tags=[RunTag(name, value) for name, value in tags.items()],
    )
    return Run(run.info, data, run.inputs, run.outputs)


def identity(run: Run) -> str:
    """What runs share that must give the same figures."""
    return str(run.data.tags.get("identity") or run.info.run_id)


def split_of(run: Run) -> str:
    """The fingerprint of the split that a run was scored on; empty where it does not tell."""
    return str(run.data.tags.get("split_fingerprint", ""))


def numbers(run: Run) -> dict[str, float]:
    """A run's metrics that are finite numbers; as infinity, MLflow keeps the largest there is."""
    return {
        name: value
        for name, value in run.data.metrics.items()
        if math.isfinite(value) and abs(value) < sys.float_info.max
    }
