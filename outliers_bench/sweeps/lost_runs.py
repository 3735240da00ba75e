"""Lost runs, whose process ended without ending them; they are ended as KILLED."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

from outliers_bench.sweeps.mlflow_parent import finish_parent
from outliers_bench.tracking import recorder_process
from outliers_bench.tracking.lookup import search_runs
from outliers_bench.tracking.process import TAG, is_gone, process_namespace
from outliers_bench.tracking.runs import child_runs, end_lost_run
from outliers_bench.tracking.store import database_path

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlflow import MlflowClient
    from mlflow.entities import Run

_log = logging.getLogger(__name__)


def end_lost_runs(client: MlflowClient) -> list[str]:
    """End as KILLED the runs that are RUNNING in a store although their process is gone.

    A recorder that is still alive ends its own runs; this is for runs whose recorder was killed as
    well, or whose machine went down. Runs of other hosts and of live processes are not changed,
    nor is a sweep with a job that is still running. Errors are logged, not raised.

    Parameters
    ----------
    client : MlflowClient
        From `open_client`.

    Returns
    -------
    list of str
        Ids of the ended runs, with sweeps last.
    """
    ended = []
    try:
        local = database_path(client.tracking_uri) is not None
        lost = [
            run for run in _running_here(client) if is_gone(run.data.tags.get(TAG, ""), local=local)
        ]
        sweeps = [run.info.run_id for run in lost if run.data.tags.get("kind") == "sweep"]
        for run in lost:
            if run.info.run_id not in sweeps:
                end_lost_run(client, run.info.run_id)
                ended.append(run.info.run_id)
        for run_id in sweeps:
            if all(child.info.status != "RUNNING" for child in child_runs(client, run_id)):
                finish_parent(client, run_id, "KILLED")
                ended.append(run_id)
    except Exception as error:
        _log.warning("lost runs may still be RUNNING: %s", error)
    return ended


def _running_here(client: MlflowClient) -> Iterator[Run]:
    """Yield the runs of this host that are RUNNING."""
    # The beginning of the tag; MLflow's LIKE has no escapes, and `is_gone` checks again.
    start = json.dumps({"host": process_namespace()["host"]})[:-1]
    if "'" in start:
        return
    query = f"attributes.status = 'RUNNING' and tags.`{TAG}` LIKE '{start}%'"
    yield from search_runs(client, query)


recorder_process.after_first_begin.append(end_lost_runs)
