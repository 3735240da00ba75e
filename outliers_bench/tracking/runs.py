"""Requests to MLflow about runs; all functions are called in the recorder process."""

from __future__ import annotations

import json
import math
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from outliers_bench.result import FinishedRun, RunHandle
from outliers_bench.tracking import process, provenance, system_metrics
from outliers_bench.tracking.datasets import Dataset, dataset_inputs
from outliers_bench.tracking.lookup import search_runs
from outliers_bench.tracking.store import experiment_id

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

PARENT_TAG = "mlflow.parentRunId"
CUT_SHORT = "the process ended before the run did"
_LONGEST_PARAM = 6000  # characters; MLflow refuses more
_LONGEST_TAG = 5000
_PARAMS_PER_BATCH = 100
_METRICS_PER_BATCH = 1000

_open: set[str] = set()  # ids of the runs created in this process and not ended
_incomplete: dict[str, str] = {}  # errors in logging the results of such a run, by id


@dataclass(frozen=True)
class RunStart:
    """Properties of a run that are known at its start.

    Parameters
    ----------
    experiment, name : str
        Experiment of the run in MLflow, and name of the run.
    tags, params : mapping of str to str
        Values that are too long for MLflow are truncated.
    config : str
        The resolved config as YAML.
    datasets : tuple of Dataset
        Datasets of the run.
    """

    experiment: str
    name: str
    tags: Mapping[str, str]
    params: Mapping[str, str]
    config: str
    datasets: tuple[Dataset, ...]


def create_run(
    client: MlflowClient, start: RunStart, parent_run_id: str | None = None
) -> RunHandle:
    """Create a run and log what is known at its start.

    Parameters
    ----------
    client : MlflowClient
        From `open_client`.
    start : RunStart
        Properties of the run. MLflow's tags for user, program and commit are added.
    parent_run_id : str or None
        Id of the sweep's parent run.
    """
    parent = {PARENT_TAG: parent_run_id} if parent_run_id else {}
    tags = {**program_tags(), **start.tags, **parent}
    run = client.create_run(
        experiment_id(client, start.experiment),
        tags={name: value[:_LONGEST_TAG] for name, value in tags.items()},
        run_name=start.name,
    )
    _open.add(run.info.run_id)
    system_metrics.start_monitor(client.tracking_uri, run.info.run_id)
    try:
        _log_start(client, run.info.run_id, start)
    except BaseException as error:
        end_run(client, run.info.run_id, "FAILED", failure_line(error))
        raise
    return RunHandle(
        uri=client.tracking_uri,
        run_id=run.info.run_id,
        experiment_id=run.info.experiment_id,
        name=run.info.run_name or run.info.run_id,
        artifact_uri=run.info.artifact_uri,
    )


def _log_start(client: MlflowClient, run_id: str, start: RunStart) -> None:
    from mlflow.entities import Param

    params = [Param(key, value[:_LONGEST_PARAM]) for key, value in start.params.items()]
    for at in range(0, len(params), _PARAMS_PER_BATCH):
        client.log_batch(run_id, params=params[at : at + _PARAMS_PER_BATCH])
    client.log_text(run_id, start.config, "config.yaml")
    versions = {
        "main": provenance.main_versions(),
        "machine": provenance.machine(),
        "all": provenance.all_versions(),
    }
    client.log_text(run_id, json.dumps(versions, indent=2), "versions.json")
    client.log_inputs(run_id, datasets=dataset_inputs(start.datasets))


def log_run(
    client: MlflowClient,
    run_id: str,
    *,
    artifacts: str,
    tags: Mapping[str, str],
    metrics: Mapping[str, float],
) -> None:
    """Log results of a run; if that fails, the run does not end as FINISHED.

    Parameters
    ----------
    client : MlflowClient
        From `open_client`.
    run_id : str
        From `create_run`.
    artifacts : str
        Folder whose files become artifacts of the run.
    tags, metrics : mapping
        Values by name.
    """
    try:
        client.log_artifacts(run_id, artifacts)
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        add_tags(client, run_id, tags)
        # Last, so that a run with hit_at_1 also has the tables that belong to it.
        client.log_batch(run_id, metrics=[Metric(n, value, now, 0) for n, value in metrics.items()])
    except Exception as error:
        _incomplete[run_id] = failure_line(error)
        raise


def add_tags(client: MlflowClient, run_id: str, tags: Mapping[str, str]) -> None:
    """Add tags to a run, which may have ended."""
    from mlflow.entities import RunTag

    client.log_batch(run_id, tags=[RunTag(name, value) for name, value in tags.items()])


def log_epochs(
    client: MlflowClient, run_id: str, epochs: Mapping[int, Mapping[str, float]]
) -> None:
    """Log the metrics of training epochs, with the epoch as step.

    Parameters
    ----------
    client : MlflowClient
        From `open_client`.
    run_id : str
        From `create_run`.
    epochs : mapping of int to mapping of str to float
        Values by epoch and name. Values that are not finite are logged as NaN, because MLflow
        turns infinity into a huge number, which makes the chart useless.
    """
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    metrics = [
        Metric(name, value if math.isfinite(value) else math.nan, now, number)
        for number, figures in epochs.items()
        for name, value in figures.items()
    ]
    for start in range(0, len(metrics), _METRICS_PER_BATCH):
        client.log_batch(run_id, metrics=metrics[start : start + _METRICS_PER_BATCH])


def end_run(client: MlflowClient, run_id: str, status: str, failure: str | None = None) -> None:
    """End a run as FINISHED, FAILED or KILLED, with the reason of a failure."""
    system_metrics.stop_monitor(run_id)
    logging_error = _incomplete.pop(run_id, None)
    if status == "FINISHED" and logging_error is not None:  # the caller did not wait for `log_run`
        status, failure = "FAILED", logging_error
    if failure:  # before the status, so that a failed run always has a reason
        client.set_tag(run_id, "failure", failure)
    if status == "FINISHED":  # another process may have marked it as lost
        from mlflow.exceptions import MlflowException

        with suppress(MlflowException):
            client.delete_tag(run_id, "failure")
    client.set_terminated(run_id, status)
    _open.discard(run_id)


def kill_open_runs(client: MlflowClient) -> None:
    """End the runs that were created in this process and are still open, as KILLED."""
    for run_id in list(_open):
        with suppress(Exception):  # deleted or unreachable; others may still be reachable
            end_lost_run(client, run_id)


def end_lost_run(client: MlflowClient, run_id: str) -> None:
    """End a run whose process has disappeared, as KILLED."""
    end_run(client, run_id, "KILLED", CUT_SHORT)


def find_finished(client: MlflowClient, experiment: str, identity: str) -> FinishedRun | None:
    """Return the newest finished run with an identity, or None.

    Parameters
    ----------
    client : MlflowClient
        From `open_client`.
    experiment : str
        Name of the experiment to search.
    identity : str
        Digest of everything the scores depend on.
    """
    query = f"tags.identity = '{identity}' and attributes.status = 'FINISHED'"
    experiments = [experiment_id(client, experiment)]
    order = ["attributes.start_time DESC"]
    for run in client.search_runs(experiments, query, max_results=1, order_by=order):
        return FinishedRun(
            run_id=run.info.run_id,
            name=run.info.run_name or run.info.run_id,
            data=run.data.tags.get("data", ""),
            begun=run.info.start_time / 1000,
            metrics=dict(run.data.metrics),
        )
    return None


def failure_line(error: BaseException) -> str:
    """Return an exception's type and message on one line that fits into a tag."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:_LONGEST_TAG]


def program_tags() -> dict[str, str]:
    """Return MLflow's tags for user, program and commit, and this project's for the process."""
    return {**_source_tags(), process.TAG: process.process_tag()}


@cache  # the commit of the imported code does not change
def _source_tags() -> dict[str, str]:
    return {
        "mlflow.user": provenance.user(),
        "mlflow.source.name": provenance.command(),
        "mlflow.source.type": "LOCAL",
        **provenance.git(),
    }


# Tags for jobs whose result was found in an earlier run: this prefix, the id of that run, and a
# suffix that distinguishes jobs that found the same run. The value is the run's name.
REUSED_TAG = "found."


def child_runs(client: MlflowClient, parent_run_id: str) -> list[Run]:
    """Return the runs of a sweep in all experiments, oldest first."""
    return list(search_runs(client, f"tags.`{PARENT_TAG}` = '{parent_run_id}'"))


def tag_reused_run(client: MlflowClient, parent_run_id: str, run: FinishedRun) -> None:
    """Tag a sweep's parent run with an earlier run that was reused for a job.

    Parameters
    ----------
    client : MlflowClient
        From `open_client`.
    parent_run_id : str
        From `start_parent`.
    run : FinishedRun
        The reused run.
    """
    client.set_tag(parent_run_id, f"{REUSED_TAG}{run.run_id}.{uuid.uuid4().hex[:6]}", run.name)
