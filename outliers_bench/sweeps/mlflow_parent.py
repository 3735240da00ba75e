"""Parent run of a sweep in MLflow, with a child run for each job."""

from __future__ import annotations

import logging
import shlex
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from outliers_bench.reports import numbers
from outliers_bench.sweeps.name import sweep_name
from outliers_bench.sweeps.summary import RankedRuns, Tally, describe_best, runs_csv, runs_table
from outliers_bench.tracking import recorder_process
from outliers_bench.tracking.runs import (
    REUSED_TAG,
    add_tags,
    child_runs,
    end_lost_run,
    program_tags,
)
from outliers_bench.tracking.store import experiment_id

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

_MAX_ROWS = 20  # in the description, which MLflow truncates at 8,000 characters
_TABLE = "children.csv"

_log = logging.getLogger(__name__)
_open: set[str] = set()  # ids of the parent runs started in this process and not ended


def start_parent(
    client: MlflowClient,
    experiment: str,
    *,
    overrides: Sequence[str],
    n_jobs: int | None = None,
    swept: Sequence[str] = (),
    objective: str = "hit_at_1",
    direction: str = "maximize",
) -> str:
    """Start the parent run of a sweep; also creates the database before any job does.

    Parameters
    ----------
    client : MlflowClient
        From `open_client`.
    experiment : str
        Name of the experiment.
    overrides : sequence of str
        Overrides on the command line; the run is named after them.
    n_jobs : int or None
        Number of jobs, if it is known.
    swept : sequence of str
        Swept options that are not on the command line, as `key=values`.
    objective : str
        Metric that the sweep optimizes.
    direction : str
        `maximize` or `minimize`.

    Returns
    -------
    str
        Run id, for the environment variable of the jobs, `OUTLIERS_BENCH_PARENT_RUN`.
    """
    tags = {
        **program_tags(),
        "kind": "sweep",
        "overrides": shlex.join(overrides),
        "objective": objective,
        "direction": direction,
        **({} if n_jobs is None else {"n_jobs": str(n_jobs)}),
        "mlflow.note.content": f"Running: `{numbers.repeat_command(['-m', *overrides])}`",
    }
    run = client.create_run(
        experiment_id(client, experiment),
        tags=tags,
        run_name=sweep_name(overrides, swept, n_jobs),
    )
    _open.add(run.info.run_id)
    return str(run.info.run_id)


def prepare_to_finish(client: MlflowClient) -> None:  # noqa: ARG001
    """Compile the template of the leaderboard while the jobs of a sweep are running."""
    if not _open:
        return
    with suppress(Exception):  # `finish_parent` will report it
        from outliers_bench.leaderboard.page import HERE
        from outliers_bench.reports.html import load_template

        load_template(HERE)


def finish_parent(client: MlflowClient, parent_run_id: str, status: str | None = None) -> int:
    """Summarize a sweep in its parent run and end it.

    Counts finished and failed jobs, copies the scores of the best child if all were scored on the
    same split, and describes the children in a table; the full table is the artifact
    `children.csv`, and `leaderboard.html`, `.md` and `.csv` compare the finished ones. Earlier runs
    that jobs reused count as children. A child that is still RUNNING is ended as KILLED, as its job
    is over.

    Parameters
    ----------
    client : MlflowClient
        From `open_client`.
    parent_run_id : str
        From `start_parent`.
    status : str or None
        FINISHED, FAILED or KILLED; None means FAILED if any job did not finish, else FINISHED.

    Returns
    -------
    int
        Number of jobs that did not finish, including those not started.
    """
    own = child_runs(client, parent_run_id)
    lost = [run.info.run_id for run in own if run.info.status == "RUNNING"]
    for run_id in lost:
        end_lost_run(client, run_id)
    if lost:
        own = child_runs(client, parent_run_id)
    parent = client.get_run(parent_run_id)
    reused_ids = _reused_ids(parent)
    reused = _reused_runs(client, reused_ids, own=own)
    ranked = RankedRuns.from_tags(parent.data.tags, [*reused, *own])
    tally = Tally.count(parent.data.tags, own, n_reused=len(reused_ids))
    tags = {"n_finished": str(tally.finished), "n_failed": str(tally.failed)}
    repeat = numbers.repeat_command(["-m", *shlex.split(parent.data.tags.get("overrides", ""))])
    best = ranked.best()
    if best is not None:
        _log_best(client, parent_run_id, best, ranked)
        tags |= {
            "best_run": str(best.info.run_name),
            "best_run_id": best.info.run_id,
            "best_parameters": shlex.join(ranked.parameters(best)),
        }
    more = len(ranked.runs) - _MAX_ROWS
    parts = [
        tally.message(),
        *([] if best is None else [describe_best(best, ranked)]),
        f"Repeat:\n\n```\n{repeat}\n```",
        runs_table(ranked.runs[:_MAX_ROWS], ranked.shown),
        *(
            [f"... and {more} more: `{_TABLE}`, under Artifacts, has all of them"]
            if more > 0
            else []
        ),
    ]
    add_tags(client, parent_run_id, {**tags, "mlflow.note.content": "\n\n".join(parts)})
    client.log_text(parent_run_id, runs_csv(ranked.runs, parent_run_id, ranked.shown), _TABLE)
    if tally.finished:
        _log_leaderboard(client, parent_run_id, ranked)
    client.set_terminated(parent_run_id, status or ("FAILED" if tally.unfinished else "FINISHED"))
    _open.discard(parent_run_id)
    return tally.unfinished


def discard_parent(client: MlflowClient, parent_run_id: str) -> bool:
    """Delete the parent run of a sweep that was refused before its first job.

    Returns
    -------
    bool
        False if a job has already recorded a run; then nothing is deleted.
    """
    if child_runs(client, parent_run_id):
        return False
    client.set_terminated(parent_run_id, "FAILED")
    client.delete_run(parent_run_id)
    _open.discard(parent_run_id)
    return True


def kill_open_sweeps(client: MlflowClient) -> None:
    """Summarize the sweeps started in this process but not ended, and end them as KILLED."""
    for parent_run_id in list(_open):
        with suppress(Exception):  # one may be deleted or unreachable, the others not
            finish_parent(client, parent_run_id, "KILLED")


def _reused_ids(parent: Run) -> list[str]:
    """Return the id of the earlier run for each job that reused one."""
    tags = (tag for tag in parent.data.tags if tag.startswith(REUSED_TAG))
    return [tag.removeprefix(REUSED_TAG).partition(".")[0] for tag in tags]


def _reused_runs(client: MlflowClient, ids: Sequence[str], *, own: Sequence[Run]) -> list[Run]:
    """Return the runs with these ids, without duplicates and without the sweep's own runs."""
    from mlflow.exceptions import MlflowException

    own_ids = {run.info.run_id for run in own}
    reused = []
    for run_id in dict.fromkeys(ids):
        if run_id in own_ids:
            continue
        with suppress(MlflowException):  # deleted permanently
            reused.append(client.get_run(run_id))
    return reused


def _log_best(client: MlflowClient, parent_run_id: str, best: Run, ranked: RankedRuns) -> None:
    from mlflow.entities import Metric

    timestamp, metrics = int(time.time() * 1000), best.data.metrics
    shown = [Metric(name, metrics[name], timestamp, 0) for name in ranked.shown if name in metrics]
    client.log_batch(parent_run_id, metrics=shown)


def _log_leaderboard(client: MlflowClient, parent_run_id: str, ranked: RankedRuns) -> None:
    """Log the leaderboard of these runs as artifacts; failures are logged, not raised."""
    metric = ranked.objective
    try:
        from outliers_bench.leaderboard import build_boards, write_boards

        boards, _ = build_boards(client, ranked.runs, metric=metric)
        with tempfile.TemporaryDirectory() as folder:
            write_boards(boards, Path(folder), metric=metric, formats=("html", "md", "csv"))
            client.log_artifacts(parent_run_id, folder)
    except Exception as error:
        _log.warning("no leaderboard was recorded for the sweep: %s", error)


recorder_process.work_functions.append(start_parent)
recorder_process.after_run.append(prepare_to_finish)
recorder_process.at_exit.append(kill_open_sweeps)
