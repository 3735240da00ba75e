"""A sweep in MLflow: one parent run, a child a job, and what became of them."""

from __future__ import annotations

import logging
import shlex
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from outliers_bench.reports import numbers as readable
from outliers_bench.sweeps.name import sweep_name
from outliers_bench.sweeps.summary import Ranked, Tally, praise, rows_table, whole_csv
from outliers_bench.tracking import recorder_process
from outliers_bench.tracking.runs import (
    _FOUND_TAG,
    add_tags,
    child_runs,
    end_lost_run,
    program_tags,
)
from outliers_bench.tracking.store import experiment_id

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

_ROWS = 20  # MLflow cuts a description at 8,000 characters
_TABLE = "children.csv"

_log = logging.getLogger(__name__)
_open: set[str] = set()  # ids of the sweeps begun in this process and not ended


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
    """Make the database and the experiment before any job does, and begin the sweep's run.

    Parameters
    ----------
    client : MlflowClient
        From `open_client`.
    experiment : str
        The experiment's name.
    overrides : sequence of str
        What stood on the command line; names the run.
    n_jobs : int or None
        How many jobs there will be, where that is known.
    swept : sequence of str
        What is swept without standing on the command line, as `key=values`.
    objective : str
        The metric that the best run is best in.
    direction : str
        `maximize` or `minimize`.

    Returns
    -------
    str
        The run's id, for the jobs' environment variable `OUTLIERS_BENCH_PARENT_RUN`.
    """
    tags = {
        **program_tags(),
        "kind": "sweep",
        "overrides": shlex.join(overrides),
        "objective": objective,
        "direction": direction,
        **({} if n_jobs is None else {"n_jobs": str(n_jobs)}),
        "mlflow.note.content": f"Running: `{readable.command(['-m', *overrides])}`",
    }
    run = client.create_run(
        experiment_id(client, experiment),
        tags=tags,
        run_name=sweep_name(overrides, swept, n_jobs),
    )
    _open.add(run.info.run_id)
    return str(run.info.run_id)


def prepare_to_finish(client: MlflowClient) -> None:  # noqa: ARG001
    """Compile the page that the end of a sweep writes, while its jobs go on."""
    if not _open:
        return
    with suppress(Exception):  # then `finish_parent` will say what is wrong
        from outliers_bench.leaderboard.page import HERE
        from outliers_bench.reports.html import template

        template(HERE)


def finish_parent(client: MlflowClient, parent_run_id: str, status: str | None = None) -> int:
    """Sum a sweep up in its parent run and end it.

    Counts what became of the jobs, copies the best child's scores where all were asked the same
    questions, and describes the children in a table; the whole table is the artifact
    `child_runs.csv`, and `leaderboard.html`, `.md` and `.csv` compare those that finished. Runs that
    jobs found finished before (see `note_found`) count as if they were children. A child that still
    counts as running is marked KILLED: its job is over and did not live to say so.

    Parameters
    ----------
    client : MlflowClient
        From `open_client`.
    parent_run_id : str
        From `start_parent`.
    status : str or None
        FINISHED, FAILED or KILLED; None says FAILED if any job did not finish.

    Returns
    -------
    int
        How many jobs did not finish; those that were never begun are among them.
    """
    own = child_runs(client, parent_run_id)
    lost = [run.info.run_id for run in own if run.info.status == "RUNNING"]
    for run_id in lost:
        end_lost_run(client, run_id)
    if lost:
        own = child_runs(client, parent_run_id)
    parent = client.get_run(parent_run_id)
    found = _found_ids(parent)
    before = _found(client, found, besides=own)
    ranked = Ranked.by(parent.data.tags, [*before, *own])
    tally = Tally.of(parent.data.tags, own, n_found=len(found))
    tags = {"n_finished": str(tally.finished), "n_failed": str(tally.failed)}
    repeat = readable.command(["-m", *shlex.split(parent.data.tags.get("overrides", ""))])
    best = ranked.best()
    if best is not None:
        _log_best(client, parent_run_id, best, ranked)
        tags |= {
            "best_run": str(best.info.run_name),
            "best_run_id": best.info.run_id,
            "best_parameters": shlex.join(ranked.parameters(best)),
        }
    more = len(ranked.runs) - _ROWS
    parts = [
        tally.told(),
        *([] if best is None else [praise(best, ranked)]),
        f"Again:\n\n```\n{repeat}\n```",
        rows_table(ranked.runs[:_ROWS], ranked.shown),
        *([f"... and {more} more: `{_TABLE}`, under Artifacts, has all"] if more > 0 else []),
    ]
    add_tags(client, parent_run_id, {**tags, "mlflow.note.content": "\n\n".join(parts)})
    client.log_text(parent_run_id, whole_csv(ranked.runs, parent_run_id, ranked.shown), _TABLE)
    if tally.finished:
        _log_leaderboard(client, parent_run_id, ranked)
    client.set_terminated(parent_run_id, status or ("FAILED" if tally.unfinished else "FINISHED"))
    _open.discard(parent_run_id)
    return tally.unfinished


def discard_parent(client: MlflowClient, parent_run_id: str) -> bool:
    """Take a sweep's run back that was refused before any of its jobs began.

    Returns
    -------
    bool
        Whether it was; False where a job has left something in it.
    """
    if child_runs(client, parent_run_id):
        return False
    client.set_terminated(parent_run_id, "FAILED")
    client.delete_run(parent_run_id)
    _open.discard(parent_run_id)
    return True


def abandon(client: MlflowClient) -> None:
    """Sum up and end, as KILLED, the sweeps that were begun in this process and never ended."""
    for parent_run_id in list(_open):
        with suppress(Exception):  # deleted meanwhile, or out of reach: the others may not be
            finish_parent(client, parent_run_id, "KILLED")


def _found_ids(parent: Run) -> list[str]:
    """Ids of the runs that `note_found` noted, one for each job."""
    tags = (tag for tag in parent.data.tags if tag.startswith(_FOUND_TAG))
    return [tag.removeprefix(_FOUND_TAG).partition(".")[0] for tag in tags]


def _found(client: MlflowClient, ids: Sequence[str], *, besides: Sequence[Run]) -> list[Run]:
    """The runs of those ids, each once, without those that are the sweep's own."""
    from mlflow.exceptions import MlflowException

    own = {run.info.run_id for run in besides}
    found = []
    for run_id in dict.fromkeys(ids):
        if run_id in own:
            continue
        with suppress(MlflowException):  # deleted for good since
            found.append(client.get_run(run_id))
    return found


def _log_best(client: MlflowClient, parent_run_id: str, best: Run, ranked: Ranked) -> None:
    from mlflow.entities import Metric

    now, metrics = int(time.time() * 1000), best.data.metrics
    shown = [Metric(name, metrics[name], now, 0) for name in ranked.shown if name in metrics]
    client.log_batch(parent_run_id, metrics=shown)


def _log_leaderboard(client: MlflowClient, parent_run_id: str, ranked: Ranked) -> None:
    """The leaderboard of these runs alone, as artifacts; a sweep without one is a sweep as well."""
    metric = ranked.objective
    try:
        from outliers_bench.leaderboard import boards_of, write_boards

        boards, _ = boards_of(client, ranked.runs, metric=metric)
        with tempfile.TemporaryDirectory() as folder:
            write_boards(boards, Path(folder), metric=metric, formats=("html", "md", "csv"))
            client.log_artifacts(parent_run_id, folder)
    except Exception as error:
        _log.warning("the sweep's run has no leaderboard: %s", error)


recorder_process.work_functions.append(start_parent)
recorder_process.after_run.append(prepare_to_finish)
recorder_process.at_exit.append(abandon)
