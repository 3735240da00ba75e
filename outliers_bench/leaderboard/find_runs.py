"""Search for the runs of a leaderboard in MLflow."""

from __future__ import annotations

import math
import re
import sys
from typing import TYPE_CHECKING

from outliers_bench.config import renamed
from outliers_bench.errors import BenchError
from outliers_bench.tracking.lookup import search_runs

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

_LABELS = ("variant", "index", "rerank")  # tags that show options
_MRR = re.compile(r"(.*/)?mrr(_low|_high)?")
_NEWEST_FIRST = "attributes.start_time DESC"


def find_runs(client: MlflowClient, *, experiment: str | None, data: str | None) -> list[Run]:
    """Find runs, but not the parent runs of sweeps, newest first; see `read_boards`.

    A run that was refused before its data was loaded is on any data.

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
            raise BenchError(f"no experiment {experiment}; available: {names}")
        experiments = [known.experiment_id]
    stored = search_runs(
        client, "tags.kind LIKE '%run'", experiments=experiments, order=_NEWEST_FIRST
    )
    runs = map(with_current_names, stored)
    return [run for run in runs if data is None or run.data.tags.get("data", data) == data]


def with_current_names(run: Run) -> Run:
    """Return a run of an earlier version with the current names of tags, metrics and options."""
    from mlflow.entities import Metric, Param, Run, RunData, RunTag

    tags, params = run.data.tags, run.data.params
    if "reduction" in tags or not set(renamed.TAGS) & set(tags):
        return run
    tags = renamed.update_names(tags, renamed.TAGS)
    tags |= {
        **{name: renamed.update_label(tags.get(name, "")) for name in _LABELS},
        "overrides": renamed.update_overrides(tags.get("overrides", "")),
        # A bare number was a PCA.
        "reduction": re.sub(r"^(L2 )?(?=\d)", r"\1PCA ", tags.get("reduction", "")),
    }
    metrics = renamed.update_names(run.data.metrics, renamed.METRICS)
    params = renamed.update_params(params)
    if members := params.get("model.members"):
        params["model.members"] = renamed.update_member(members)
    data = RunData(
        metrics=[Metric(name, value, 0, 0) for name, value in metrics.items()],
        params=[Param(name, value) for name, value in params.items()],
        tags=[RunTag(name, value) for name, value in tags.items()],
    )
    return Run(run.info, data, run.inputs, run.outputs)


def run_identity(run: Run) -> str:
    """Return the identity of a run; runs with the same identity have the same figures."""
    return str(run.data.tags.get("identity") or run.info.run_id)


def split_fingerprint(run: Run) -> str:
    """Return the fingerprint of the split that a run was scored on; empty if it has none."""
    return str(run.data.tags.get("split_fingerprint", ""))


def finite_metrics(run: Run) -> dict[str, float]:
    """Return the finite metrics of a run, without a MRR of an earlier definition.

    MLflow stores infinity as the largest float.
    """
    return {
        name: value
        for name, value in run.data.metrics.items()
        if math.isfinite(value) and abs(value) < sys.float_info.max and not is_older_mrr(run, name)
    }


def is_older_mrr(run: Run, metric: str) -> bool:
    """Check whether a metric of a run is a MRR cut at a depth of the ranking; see `DEFINITIONS`."""
    is_mrr = _MRR.fullmatch(metric) is not None and metric in run.data.metrics
    return is_mrr and "evaluation" not in run.data.tags
