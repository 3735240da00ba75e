"""What MLflow is told of a run and asked about it; all of it is called in the recorder."""

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

if TYPE_CHECKING:
    from mlflow import MlflowClient

PARENT_TAG = "mlflow.parentRunId"
CUT_SHORT = "the process ended before the run did"
_LONGEST_PARAM = 6000  # characters; MLflow refuses more
_LONGEST_TAG = 5000
_PARAMS_AT_ONCE = 100
_METRICS_AT_ONCE = 1000

_open: set[str] = set()  # ids of the runs begun in this process and not ended
_incomplete: dict[str, str] = {}  # why what such a run found could not be taken down, by id


@dataclass(frozen=True)
class RunStart:
    """What is known of a run before its work.

    Parameters
    ----------
    experiment, name : str
        Where it stands in MLflow, and under which name.
    tags, params : mapping of str to str
        Values too long for MLflow are cut.
    config : str
        The resolved config as YAML.
    datasets : tuple of Dataset
        What it is run on.
    """

    experiment: str
    name: str
    tags: Mapping[str, str]
    params: Mapping[str, str]
    config: str
    datasets: tuple[Dataset, ...]


def create_run(
    client: MlflowClient, beginning: RunStart, parent_run_id: str | None = None
) -> RunHandle:
    """Begin a run with everything that is known before.

    Parameters
    ----------
    client : MlflowClient
        From `open_client`.
    beginning : Beginning
        What is known. MLflow's tags for who runs which program of which commit are added.
    parent_run_id : str or None
        The sweep's run.
    """
    parent = {PARENT_TAG: parent_run_id} if parent_run_id else {}
    tags = {**program_tags(), **beginning.tags, **parent}
    run = client.create_run(
        experiment_id(client, beginning.experiment),
        tags={name: value[:_LONGEST_TAG] for name, value in tags.items()},
        run_name=beginning.name,
    )
    _open.add(run.info.run_id)
    system_metrics.start_monitor(client.tracking_uri, run.info.run_id)
    try:
        _log_beginning(client, run.info.run_id, beginning)
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


def _log_beginning(client: MlflowClient, run_id: str, beginning: RunStart) -> None:
    from mlflow.entities import Param

    params = [Param(key, value[:_LONGEST_PARAM]) for key, value in beginning.params.items()]
    for start in range(0, len(params), _PARAMS_AT_ONCE):
        client.log_batch(run_id, params=params[start : start + _PARAMS_AT_ONCE])
    client.log_text(run_id, beginning.config, "config.yaml")
    versions = {
        "main": provenance.main_versions(),
        "machine": provenance.machine(),
        "all": provenance.all_versions(),
    }
    client.log_text(run_id, json.dumps(versions, indent=2), "versions.json")
    client.log_inputs(run_id, datasets=dataset_inputs(beginning.datasets))


def log_run(
    client: MlflowClient,
    run_id: str,
    *,
    artifacts: str,
    tags: Mapping[str, str],
    metrics: Mapping[str, float],
) -> None:
    """Take down what a run found; a run that this fails for is never ended as FINISHED.

    Parameters
    ----------
    client : MlflowClient
        From `open_client`.
    run_id : str
        From `create_run`.
    artifacts : str
        Folder whose files become the run's.
    tags, metrics : mapping
        By name.
    """
    try:
        client.log_artifacts(run_id, artifacts)
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        add_tags(client, run_id, tags)
        # Last: whoever finds hit_at_1 finds the tables that belong to it, too.
        client.log_batch(run_id, metrics=[Metric(n, value, now, 0) for n, value in metrics.items()])
    except Exception as error:
        _incomplete[run_id] = failure_line(error)
        raise


def add_tags(client: MlflowClient, run_id: str, tags: Mapping[str, str]) -> None:
    """Add tags to a run, whether it has ended or not."""
    from mlflow.entities import RunTag

    client.log_batch(run_id, tags=[RunTag(name, value) for name, value in tags.items()])


def log_epochs(
    client: MlflowClient, run_id: str, epochs: Mapping[int, Mapping[str, float]]
) -> None:
    """Take down the figures of a training's epochs, each as a step of its metric.

    Parameters
    ----------
    client : MlflowClient
        From `open_client`.
    run_id : str
        From `create_run`.
    epochs : mapping of int to mapping of str to float
        By epoch, and by name. A figure that is no finite number is taken down as NaN: MLflow would
        make a huge number of an infinite one, and its chart useless.
    """
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    metrics = [
        Metric(name, value if math.isfinite(value) else math.nan, now, number)
        for number, figures in epochs.items()
        for name, value in figures.items()
    ]
    for start in range(0, len(metrics), _METRICS_AT_ONCE):
        client.log_batch(run_id, metrics=metrics[start : start + _METRICS_AT_ONCE])


def end_run(client: MlflowClient, run_id: str, status: str, failure: str | None = None) -> None:
    """End a run as FINISHED, FAILED or KILLED, and say why it failed."""
    system_metrics.stop_monitor(run_id)
    why = _incomplete.pop(run_id, None)
    if status == "FINISHED" and why is not None:  # who asks did not wait for `log_run`
        status, failure = "FAILED", why
    if failure:  # first: whoever sees the status will look for the reason
        client.set_tag(run_id, "failure", failure)
    if status == "FINISHED":  # whoever took it for lost was wrong
        from mlflow.exceptions import MlflowException

        with suppress(MlflowException):
            client.delete_tag(run_id, "failure")
    client.set_terminated(run_id, status)
    _open.discard(run_id)


def kill_open_runs(client: MlflowClient) -> None:
    """End the runs that were begun in this process and never ended, as KILLED."""
    for run_id in list(_open):
        with suppress(Exception):  # deleted meanwhile, or out of reach: the others may not be
            end_lost_run(client, run_id)


def end_lost_run(client: MlflowClient, run_id: str) -> None:
    """End a run as KILLED whose process did not live to say how it went."""
    end_run(client, run_id, "KILLED", CUT_SHORT)


def find_finished(client: MlflowClient, experiment: str, identity: str) -> FinishedRun | None:
    """The newest finished run with that identity, or None.

    Parameters
    ----------
    client : MlflowClient
        From `open_client`.
    experiment : str
        Name of the experiment to look in.
    identity : str
        Digest of everything the numbers depend on.
    """
    query = f"tags.identity = '{identity}' and attributes.status = 'FINISHED'"
    place = experiment_id(client, experiment)
    order = ["attributes.start_time DESC"]
    for run in client.search_runs([place], query, max_results=1, order_by=order):
        return FinishedRun(
            run_id=run.info.run_id,
            name=run.info.run_name or run.info.run_id,
            data=run.data.tags.get("data", ""),
            begun=run.info.start_time / 1000,
            metrics=dict(run.data.metrics),
        )
    return None


def failure_line(error: BaseException) -> str:
    """An exception's type and message on one line, short enough for a tag."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:_LONGEST_TAG]


def program_tags() -> dict[str, str]:
    """MLflow's own tags for who ran which program of which commit, and ours for the process."""
    return {**_program_tags(), process.TAG: process.process_tag()}


@cache  # git is asked once: of what this process has imported, the commit does not change
def _program_tags() -> dict[str, str]:
    return {
        "mlflow.user": provenance.user(),
        "mlflow.source.name": provenance.command(),
        "mlflow.source.type": "LOCAL",
        **provenance.git(),
    }


# For each job that found its work done: this, the id of the run that has done it, and a word that
# tells jobs apart that found the same. The value is the run's name.
_FOUND_TAG = "found."


def child_runs(client: MlflowClient, parent_run_id: str) -> list[Run]:
    """The runs of a sweep, oldest first, whatever experiments they stand in."""
    return list(search_runs(client, f"tags.`{PARENT_TAG}` = '{parent_run_id}'"))


def tag_reused_run(client: MlflowClient, parent_run_id: str, run: FinishedRun) -> None:
    """Note in a sweep's run that a job found its work done by an earlier run.

    Parameters
    ----------
    client : MlflowClient
        From `open_client`.
    parent_run_id : str
        From `start_parent`.
    run : FinishedRun
        What was taken instead.
    """
    client.set_tag(parent_run_id, f"{_FOUND_TAG}{run.run_id}.{uuid.uuid4().hex[:6]}", run.name)
