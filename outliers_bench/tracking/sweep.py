"""A sweep in MLflow: one parent run, a child a job, and what became of them."""

from __future__ import annotations

import logging
import shlex
import tempfile
import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from outliers_bench.reports import format as readable
from outliers_bench.tracking.entries import (
    PARENT_TAG,
    FinishedRun,
    end_lost,
    failure_line,
    source_tags,
)
from outliers_bench.tracking.search import search_runs
from outliers_bench.tracking.store import experiment_id
from outliers_bench.tracking.sweep_summary import Ranked, praise, rows_table, whole_csv

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

_NAME_LENGTH = 120
_FOUND_TAG = "found."  # and the id of a run that a job found finished; its value is the run's name
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
    jobs = "" if n_jobs is None else f" · {n_jobs} jobs"
    tags = {
        **source_tags(),
        "kind": "sweep",
        "overrides": shlex.join(overrides),
        "objective": objective,
        "direction": direction,
        "mlflow.note.content": f"Running: `{readable.command(['-m', *overrides])}`",
    }
    run = client.create_run(
        experiment_id(client, experiment),
        tags=tags,
        run_name=_name(overrides, swept)[: _NAME_LENGTH - len(jobs)] + jobs,
    )
    _open.add(run.info.run_id)
    return str(run.info.run_id)


def _name(overrides: Sequence[str], swept: Sequence[str]) -> str:
    """What is swept comes first: the run list shows little of a name, and the date beside it."""
    told = [override for override in overrides if _is_swept(override)]
    if len(told) == 1 and told[0].startswith("+experiments/"):
        table, _, rows = told[0].removeprefix("+experiments/").partition("=")
        return f"table {table}" + ("" if rows == "glob(*)" else f" {rows}")
    named = [o.partition("=")[2] for o in overrides if o.startswith("+experiments=")]
    told = [*(name for name in named if "," not in name), *told]
    return f"sweep {' '.join(told or swept) or f'{datetime.now().astimezone():%Y-%m-%d %H:%M}'}"


def _is_swept(override: str) -> bool:
    value = override.partition("=")[2]
    bare = not value.startswith(("[", "{", "'", '"'))
    kinds = ("glob(", "range(", "choice(", "interval(", "shuffle(", "tag(")
    return bare and ("," in value or value.startswith(kinds))


def children(client: MlflowClient, parent_run_id: str) -> list[Run]:
    """The runs of a sweep, oldest first, whatever experiments they stand in."""
    return list(search_runs(client, f"tags.`{PARENT_TAG}` = '{parent_run_id}'"))


def finish_parent(client: MlflowClient, parent_run_id: str, status: str | None = None) -> int:
    """Sum a sweep up in its parent run and end it.

    Counts the children by status, copies the best one's scores where all were asked the same
    questions, and describes them in a table; the whole table is the artifact `children.csv`, and
    `leaderboard.html`, `.md` and `.csv` compare those that finished. Runs that jobs found finished
    before (see `note_found`) count as if they were children. A child that still counts as running
    is marked KILLED: its job is over and did not live to say so.

    Parameters
    ----------
    client : MlflowClient
        From `open_client`.
    parent_run_id : str
        From `start_parent`.
    status : str or None
        FINISHED, FAILED or KILLED; None says FAILED if any child did not finish.

    Returns
    -------
    int
        How many jobs did not finish.
    """
    for run in children(client, parent_run_id):
        if run.info.status == "RUNNING":
            end_lost(client, run.info.run_id)
    parent = client.get_run(parent_run_id)
    own = children(client, parent_run_id)
    before = _found(client, parent, besides=own)
    ranked = Ranked.by(parent.data.tags, [*before, *own])
    by_status = Counter(run.info.status for run in ranked.runs)
    n_failed = len(ranked.runs) - by_status["FINISHED"]
    client.set_tag(parent_run_id, "n_finished", str(by_status["FINISHED"]))
    client.set_tag(parent_run_id, "n_failed", str(n_failed))
    repeat = readable.command(["-m", *shlex.split(parent.data.tags.get("overrides", ""))])
    best = ranked.best()
    if best is not None:
        _log_best(client, parent_run_id, best, ranked)
    earlier = f" ({len(before)} of them before)" if before else ""
    more = len(ranked.runs) - _ROWS
    parts = [
        f"{by_status['FINISHED']} of {len(ranked.runs)} jobs finished{earlier}",
        *([] if best is None else [praise(best, ranked)]),
        f"Again:\n\n```\n{repeat}\n```",
        rows_table(ranked.runs[:_ROWS], ranked.shown),
        *([f"... and {more} more: `{_TABLE}`, under Artifacts, has all"] if more > 0 else []),
    ]
    client.set_tag(parent_run_id, "mlflow.note.content", "\n\n".join(parts))
    client.log_text(parent_run_id, whole_csv(ranked.runs, parent_run_id, ranked.shown), _TABLE)
    if by_status["FINISHED"]:
        _log_leaderboard(client, parent_run_id, ranked)
    client.set_terminated(parent_run_id, status or ("FAILED" if n_failed else "FINISHED"))
    _open.discard(parent_run_id)
    return n_failed


def discard_parent(client: MlflowClient, parent_run_id: str) -> bool:
    """Take a sweep's run back that was refused before any of its jobs began.

    Returns
    -------
    bool
        Whether it was; False where a job has left something in it.
    """
    if children(client, parent_run_id):
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


def note_found(client: MlflowClient, parent_run_id: str, run: FinishedRun) -> None:
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
    client.set_tag(parent_run_id, _FOUND_TAG + run.run_id, run.name)


def _found(client: MlflowClient, parent: Run, *, besides: Sequence[Run]) -> list[Run]:
    """The earlier runs that `note_found` noted; without those that are the sweep's own."""
    from mlflow.exceptions import MlflowException

    own = {run.info.run_id for run in besides}
    noted = (tag.removeprefix(_FOUND_TAG) for tag in parent.data.tags if tag.startswith(_FOUND_TAG))
    found = []
    for run_id in noted:
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
    client.set_tag(parent_run_id, "best_run", best.info.run_name)
    client.set_tag(parent_run_id, "best_run_id", best.info.run_id)
    client.set_tag(parent_run_id, "best_parameters", shlex.join(ranked.parameters(best)))


def _log_leaderboard(client: MlflowClient, parent_run_id: str, ranked: Ranked) -> None:
    """The leaderboard of these runs alone, as artifacts; a sweep without one is a sweep as well."""
    metric = ranked.objective
    try:
        from outliers_bench.reports.leaderboard import read_boards, write_boards

        runs: Collection[str] = {run.info.run_id for run in ranked.runs}
        boards, _ = read_boards(client.tracking_uri, metric=metric, runs=runs)
        with tempfile.TemporaryDirectory() as folder:
            write_boards(boards, Path(folder), metric=metric, formats=("html", "md", "csv"))
            client.log_artifacts(parent_run_id, folder)
    except Exception as error:
        _log.warning("the sweep's run has no leaderboard: %s", error)


def record_failure(
    client: MlflowClient,
    parent_run_id: str,
    *,
    overrides: Sequence[str],
    error: BaseException,
    tags: Mapping[str, str] | None = None,
) -> str:
    """Record a job that failed before its run began: a FAILED child that says why.

    Parameters
    ----------
    client : MlflowClient
        From `open_client`.
    parent_run_id : str
        The sweep's run.
    overrides : sequence of str
        The job's overrides; they name the run.
    error : BaseException
        What stopped it.
    tags : mapping of str to str, optional
        What is known of it all the same.

    Returns
    -------
    str
        The id of the run.
    """
    parent = client.get_run(parent_run_id)
    why = failure_line(error)
    all_tags = {
        **source_tags(),
        **(tags or {}),
        "kind": "run",
        PARENT_TAG: parent_run_id,
        "overrides": shlex.join(overrides),
        "failure": why,
        "mlflow.note.content": f"Not begun: {why}\n\n```\n{readable.command(overrides)}\n```",
    }
    run = client.create_run(
        parent.info.experiment_id,
        tags=all_tags,
        run_name=(" ".join(overrides) or "failed job")[:_NAME_LENGTH],
    )
    client.set_terminated(run.info.run_id, "FAILED")
    return str(run.info.run_id)
