"""One run in MLflow: begun with everything that is known before, ended with how it went."""

from __future__ import annotations

import json
import logging
import shlex
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from outliers_bench.tracking import provenance
from outliers_bench.tracking.datasets import dataset_inputs
from outliers_bench.tracking.method import as_mapping, describe, flatten
from outliers_bench.tracking.store import experiment_id, open_client
from outliers_bench.types import Split

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

    from outliers_bench.config import Config

PARENT_RUN_VARIABLE = "OUTLIERS_BENCH_PARENT_RUN"
PARENT_TAG = "mlflow.parentRunId"
_LONGEST_PARAM = 6000  # characters; MLflow refuses more
_LONGEST_TAG = 5000
_PARAMS_AT_ONCE = 100
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunHandle:
    """A run that is being recorded.

    Parameters
    ----------
    client : MlflowClient
        Connected to `uri`.
    uri : str
        Tracking URI, absolute.
    run_id, experiment_id, name : str
        As MLflow knows them.
    artifact_uri : str
        Where the run's artifacts lie.
    overrides : tuple of str
        What stood on the command line.
    """

    client: MlflowClient
    uri: str
    run_id: str
    experiment_id: str
    name: str
    artifact_uri: str
    overrides: tuple[str, ...] = ()


@contextmanager
def start_run(
    config: Config,
    split: Split,
    *,
    identity: str,
    run_name: str | None = None,
    parent_run_id: str | None = None,
    overrides: Sequence[str] = (),
    tags: Mapping[str, str] | None = None,
) -> Iterator[RunHandle]:
    """Record a run from here to the end of the `with` block.

    Ends FINISHED, or FAILED with the exception's type and message in the tag `failure`, or KILLED
    after Ctrl-C and SIGTERM. Whatever was raised is raised again.

    Parameters
    ----------
    config : Config
        The resolved config; says where to record.
    split : Split
        What the run is about.
    identity : str
        Digest of everything the numbers depend on; see `find_finished`.
    run_name : str or None
        Name in the UI; None describes the method.
    parent_run_id : str or None
        The sweep's run.
    overrides : sequence of str
        What stood on the command line, to say how the run can be repeated.
    tags : mapping of str to str, optional
        More tags.

    Yields
    ------
    RunHandle

    Raises
    ------
    BenchError
        What `open_client` raises.
    """
    values = as_mapping(config)
    tracking = values["tracking"]
    client = open_client(tracking["uri"])
    experiment = experiment_id(client, tracking["experiment"] or split.name)
    all_tags = _tags(config, split, identity) | dict(tags or {})
    all_tags["overrides"] = shlex.join(overrides)[:_LONGEST_TAG]
    if parent_run_id:
        all_tags[PARENT_TAG] = parent_run_id
    run = client.create_run(experiment, tags=all_tags, run_name=run_name or str(describe(config)))
    handle = RunHandle(
        client=client,
        uri=client.tracking_uri,
        run_id=run.info.run_id,
        experiment_id=experiment,
        name=run.info.run_name,
        artifact_uri=run.info.artifact_uri,
        overrides=tuple(overrides),
    )
    with _ended_properly(handle):
        _log_start(handle, values, split)
        yield handle


def find_finished(client: MlflowClient, experiment_id: str, identity: str) -> Run | None:
    """The newest finished run with that identity, or None.

    Parameters
    ----------
    client : MlflowClient
        From `open_client`.
    experiment_id : str
        Where to look.
    identity : str
        As given to `start_run`.
    """
    query = f"tags.identity = '{identity}' and attributes.status = 'FINISHED'"
    found = client.search_runs(
        [experiment_id], query, max_results=1, order_by=["attributes.start_time DESC"]
    )
    return found[0] if found else None


def failure_line(error: BaseException) -> str:
    """An exception's type and message on one line, short enough for a tag."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:_LONGEST_TAG]


def source_tags() -> dict[str, str]:
    """MLflow's own tags for who ran which program of which commit."""
    return {
        "mlflow.user": provenance.user(),
        "mlflow.source.name": provenance.command(),
        "mlflow.source.type": "LOCAL",
        **provenance.git(),
    }


def _tags(config: Config, split: Split, identity: str) -> dict[str, str]:
    method = describe(config)
    return {
        **source_tags(),
        "kind": "run",
        "data": split.name,
        "model": method.model,
        "variant": method.variant,
        "pca": method.pca,
        "index": method.index,
        "metric": method.metric,
        "split_fingerprint": split.fingerprint,
        "identity": identity,
        **{f"version.{name}": value for name, value in provenance.main_versions().items()},
        **{f"machine.{name}": value for name, value in provenance.machine().items()},
    }


def _log_start(handle: RunHandle, values: Mapping[str, Any], split: Split) -> None:
    from mlflow.entities import Param

    client, run_id = handle.client, handle.run_id
    params = [Param(key, value[:_LONGEST_PARAM]) for key, value in flatten(values).items()]
    for start in range(0, len(params), _PARAMS_AT_ONCE):
        client.log_batch(run_id, params=params[start : start + _PARAMS_AT_ONCE])
    client.log_text(run_id, OmegaConf.to_yaml(OmegaConf.create(dict(values))), "config.yaml")
    versions = {
        "main": provenance.main_versions(),
        "machine": provenance.machine(),
        "all": provenance.all_versions(),
    }
    client.log_text(run_id, json.dumps(versions, indent=2), "versions.json")
    client.log_inputs(run_id, datasets=dataset_inputs(split, values["data"]))


@contextmanager
def _ended_properly(handle: RunHandle) -> Iterator[None]:
    try:
        with _sigterm_raises():
            yield
    except (KeyboardInterrupt, SystemExit) as error:
        _end_broken(handle, "KILLED", error)
        raise
    except BaseException as error:
        _end_broken(handle, "FAILED", error)
        raise
    handle.client.set_terminated(handle.run_id, "FINISHED")


def _end_broken(handle: RunHandle, status: str, error: BaseException) -> None:
    """End a run that has failed; what goes wrong in that must not hide why it failed."""
    try:
        handle.client.set_terminated(handle.run_id, status)
        handle.client.set_tag(handle.run_id, "failure", failure_line(error))
    except Exception as trouble:
        _log.warning(
            "MLflow could not be told that the run %s is %s: %s",
            handle.run_id,
            status,
            failure_line(trouble),
        )


@contextmanager
def _sigterm_raises() -> Iterator[None]:
    """Let SIGTERM unwind the stack; leave it to a launcher that handles it already."""

    def stop(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001
        raise SystemExit(128 + signum)

    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
