"""Calls to MLflow about runs, made by the sender or plainly by a command.

What a sender calls takes the client and the id of the run first, then plain JSON.
"""

from __future__ import annotations

import json
import logging
import math
import os
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from outliers_bench.tracking import provenance
from outliers_bench.tracking.datasets import dataset_inputs
from outliers_bench.tracking.lookup import search_runs
from outliers_bench.tracking.outbox import KEY_TAG, RUN_ID, now
from outliers_bench.tracking.records import without_password

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

PARENT_TAG = "mlflow.parentRunId"
CUT_SHORT = "the process ended before the run did"
LONGEST_TAG = 5000  # characters
_SOON = 60_000  # milliseconds
_MONITORING = "MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING"
_log = logging.getLogger(__name__)
_monitors: dict[str, SystemMetricsMonitor] = {}


def log_start(
    client: MlflowClient,
    run_id: str,
    *,
    params: Mapping[str, str],
    config: str,
    versions: Mapping[str, Any],
    datasets: Sequence[Mapping[str, str]],
    time: int,
) -> None:
    """Log what is known at the start of a run, and start the monitor of the machine.

    `config` is the resolved config as YAML, `versions` has the packages and the machine, `datasets`
    are those of `split_datasets`, `time` is the start of the run in milliseconds since 1970.
    """
    from mlflow.entities import Param

    if now() - time < _SOON:  # else it may have ended long ago, even on another machine
        _start_monitor(client.tracking_uri, run_id)
    client.log_batch(run_id, params=[Param(key, value) for key, value in params.items()])
    client.log_text(run_id, config, "config.yaml")
    client.log_text(run_id, json.dumps(versions, indent=2), "versions.json")
    client.log_inputs(run_id, datasets=dataset_inputs(datasets))


def _start_monitor(uri: str, run_id: str) -> None:
    """Log `system/...` metrics of a run until it ends; a failure is logged, not raised.

    MLflow's `MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL` sets the interval (10 s by default);
    `MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING=false` disables the metrics. A run that ends before the
    end of the first interval has none.
    """
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

    is_off = os.environ.get(_MONITORING, "true").strip().lower() in ("false", "0")
    if is_off or run_id in _monitors:  # the call is repeated after an error
        return
    # It warns if the run is deleted meanwhile.
    logging.getLogger(SystemMetricsMonitor.__module__).setLevel(logging.ERROR)
    try:
        monitor = SystemMetricsMonitor(run_id, tracking_uri=uri)  # type: ignore[no-untyped-call]
        monitor.start()  # type: ignore[no-untyped-call]
        _monitors[run_id] = monitor
    except Exception as error:
        _log.warning("cannot log system metrics of this run: %s", error)


def log_run(
    client: MlflowClient,
    run_id: str,
    *,
    folder: Path,
    tags: Mapping[str, str],
    metrics: Mapping[str, float],
    time: int,
) -> None:
    """Log results of a run.

    Parameters
    ----------
    client : MlflowClient
    run_id : str
        Replaces `RUN_ID` in the values of tags.
    folder : Path
        Folder whose files become artifacts of the run.
    tags, metrics : mapping
        Values by name.
    time : int
        Time of the metrics in milliseconds since 1970.
    """
    from mlflow.entities import Metric

    client.log_artifacts(run_id, str(folder))
    add_tags(client, run_id, {name: value.replace(RUN_ID, run_id) for name, value in tags.items()})
    # Last, so that a run with hit_at_1 also has the tables that belong to it.
    logged = [Metric(name, value, time, 0) for name, value in metrics.items()]
    client.log_batch(run_id, metrics=logged)


def add_tags(client: MlflowClient, run_id: str, tags: Mapping[str, str]) -> None:
    """Add tags to a run, which may have ended."""
    from mlflow.entities import RunTag

    client.log_batch(run_id, tags=[RunTag(name, value) for name, value in tags.items()])


def log_epochs(
    client: MlflowClient, run_id: str, *, epochs: Mapping[str, Mapping[str, float]], time: int
) -> None:
    """Log the metrics of training epochs, by epoch and name, with the epoch as step.

    Values that are not finite are logged as NaN, because MLflow turns infinity into a huge number,
    which makes the chart useless.
    """
    from mlflow.entities import Metric

    metrics = [
        Metric(name, value if math.isfinite(value) else math.nan, time, int(number))
        for number, figures in epochs.items()
        for name, value in figures.items()
    ]
    client.log_batch(run_id, metrics=metrics)


def end_run(
    client: MlflowClient, run_id: str, *, status: str, time: int, failure: str | None = None
) -> None:
    """End a run as FINISHED, FAILED or KILLED, with the reason of a failure."""
    if monitor := _monitors.pop(run_id, None):
        monitor.finish()  # type: ignore[no-untyped-call]
    if failure:  # before the status, so that a failed run always has a reason
        client.set_tag(run_id, "failure", failure)
    client.set_terminated(run_id, status, end_time=time)


def failure_line(error: BaseException) -> str:
    """Return an exception's type and message, without passwords, on one line for a tag."""
    message = without_password(f"{type(error).__name__}: {error}")
    return " ".join(message.split())[:LONGEST_TAG]


@cache  # the commit of the imported code does not change
def program_tags() -> dict[str, str]:
    """Return MLflow's tags for user, program and commit."""
    return {
        "mlflow.user": provenance.user(),
        "mlflow.source.name": provenance.command(),
        "mlflow.source.type": "LOCAL",
        **provenance.git(),
    }


# Tags of a sweep for jobs whose result was found in an earlier run: this prefix, the id of that
# run, and a suffix that distinguishes jobs that found the same run. The value is the run's name.
REUSED_TAG = "found."


def child_runs(client: MlflowClient, parent_run_id: str) -> list[Run]:
    """Return the runs of a sweep in all experiments, oldest first."""
    return list(search_runs(client, f"tags.`{PARENT_TAG}` = '{parent_run_id}'"))


def tag_reused_run(
    client: MlflowClient, run_id: str, *, found: str, name: str, suffix: str
) -> None:
    """Tag a sweep with an earlier run that was reused for a job.

    Parameters
    ----------
    client : MlflowClient
    run_id : str
        Id of the sweep's run.
    found, name : str
        Id, or key in the outbox, and name of the reused run.
    suffix : str
        Distinguishes jobs that reused the same run.
    """
    if len(found) != 32:
        known = next(search_runs(client, f"tags.`{KEY_TAG}` = '{found}'"), None)
        if known is None:
            raise RuntimeError(f"the run that was reused, {name}, waits in the outbox as well")
        found = known.info.run_id
    client.set_tag(run_id, f"{REUSED_TAG}{found}.{suffix}", name)
