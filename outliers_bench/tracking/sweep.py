"""A sweep in MLflow: one parent run, a child a job, and what became of them."""

from __future__ import annotations

import csv
import io
import shlex
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING

from outliers_bench.reports import format as readable
from outliers_bench.tracking.entries import CUT_SHORT, FinishedRun, failure_line, source_tags
from outliers_bench.tracking.note import table
from outliers_bench.tracking.search import search_runs
from outliers_bench.tracking.store import experiment_id

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

_NAME_LENGTH = 120
_RANKED_BY = "hit_at_1"
_SHOWN = ("hit_at_1", "hit_at_5", "hit_at_10", "map_at_r")
_FOUND_TAG = "found."  # and the id of a run that a job found finished; its value is the run's name
_ROWS = 20  # MLflow cuts a description at 8,000 characters
_TABLE = "children.csv"
PARENT_TAG = "mlflow.parentRunId"

_open: set[str] = set()  # ids of the sweeps begun in this process and not ended


def start_parent(
    client: MlflowClient, experiment: str, *, overrides: Sequence[str], n_jobs: int | None = None
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

    Returns
    -------
    str
        The run's id, for the jobs' environment variable `OUTLIERS_BENCH_PARENT_RUN`.
    """
    # What is swept comes first: the run list shows little of a name, and the date beside it.
    swept = " ".join(override for override in overrides if _is_swept(override))
    jobs = "" if n_jobs is None else f" · {n_jobs} jobs"
    name = f"sweep {swept or f'{datetime.now().astimezone():%Y-%m-%d %H:%M}'}"
    tags = {**source_tags(), "kind": "sweep", "overrides": shlex.join(overrides)}
    tags["mlflow.note.content"] = f"Running: `{readable.command(['-m', *overrides])}`"
    run = client.create_run(
        experiment_id(client, experiment),
        tags=tags,
        run_name=name[: _NAME_LENGTH - len(jobs)] + jobs,
    )
    _open.add(run.info.run_id)
    return str(run.info.run_id)


def _is_swept(override: str) -> bool:
    value = override.partition("=")[2]
    bare = not value.startswith(("[", "{", "'", '"'))
    return bare and ("," in value or value.startswith(("glob(", "range(", "choice(")))


def children(client: MlflowClient, parent_run_id: str) -> list[Run]:
    """The runs of a sweep, oldest first, whatever experiments they stand in."""
    return list(search_runs(client, f"tags.`{PARENT_TAG}` = '{parent_run_id}'"))


def finish_parent(client: MlflowClient, parent_run_id: str, status: str | None = None) -> None:
    """Sum a sweep up in its parent run and end it.

    Counts the children by status, copies the best one's scores where all were asked the same
    questions, and describes them in a table; the whole table is the artifact `children.csv`. Runs
    that jobs found finished before (see `note_found`) count as if they were children. A child that
    still counts as running is marked KILLED: its job is over and did not live to say so.

    Parameters
    ----------
    client : MlflowClient
        From `open_client`.
    parent_run_id : str
        From `start_parent`.
    status : str or None
        FINISHED, FAILED or KILLED; None says FAILED if any child did not finish.
    """
    runs = children(client, parent_run_id)
    for run in runs:
        if run.info.status == "RUNNING":
            client.set_tag(run.info.run_id, "failure", CUT_SHORT)
            client.set_terminated(run.info.run_id, "KILLED")
    parent = client.get_run(parent_run_id)
    runs = children(client, parent_run_id)
    before = _found(client, parent, besides=runs)
    runs = [*before, *runs]
    by_status = Counter(run.info.status for run in runs)
    n_failed = len(runs) - by_status["FINISHED"]
    client.set_tag(parent_run_id, "n_finished", str(by_status["FINISHED"]))
    client.set_tag(parent_run_id, "n_failed", str(n_failed))
    repeat = readable.command(["-m", *shlex.split(parent.data.tags.get("overrides", ""))])
    best = _best(runs)
    if best is not None:
        _log_best(client, parent_run_id, best)
    earlier = f" ({len(before)} of them before)" if before else ""
    more = len(runs) - _ROWS
    parts = [
        f"{by_status['FINISHED']} of {len(runs)} jobs finished{earlier}",
        *([] if best is None else [_praise(best)]),
        f"Again:\n\n```\n{repeat}\n```",
        _table(_ordered(runs)[:_ROWS]),
        *([f"... and {more} more: `{_TABLE}`, under Artifacts, has all"] if more > 0 else []),
    ]
    client.set_tag(parent_run_id, "mlflow.note.content", "\n\n".join(parts))
    client.log_text(parent_run_id, _csv(_ordered(runs), parent_run_id), _TABLE)
    client.set_terminated(parent_run_id, status or ("FAILED" if n_failed else "FINISHED"))
    _open.discard(parent_run_id)


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


def _ordered(runs: Sequence[Run]) -> list[Run]:
    """Best first; those without a score last, in the order they ran."""
    return sorted(runs, key=lambda run: -run.data.metrics.get(_RANKED_BY, -1.0))


def _table(runs: Sequence[Run]) -> str:
    rows = []
    for run in runs:
        metrics, tags = run.data.metrics, run.data.tags
        scores = [readable.score(metrics[name]) if name in metrics else "" for name in _SHOWN]
        outcome = tags.get("failure", "")[:_NAME_LENGTH] or run.info.status.lower()
        rows.append([*scores, outcome, run.info.run_name, tags.get("data", "")])
    return table([*map(readable.title, _SHOWN), "status", "run", "data"], rows)


def _csv(runs: Sequence[Run], parent_run_id: str) -> str:
    """Every run with every metric, in full precision."""
    metrics = list(dict.fromkeys([*_SHOWN, *(name for run in runs for name in run.data.metrics)]))
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["run_id", "run", "status", "before", "data", "overrides", "failure", *metrics])
    for run in runs:
        tags = run.data.tags
        before = "" if tags.get(PARENT_TAG) == parent_run_id else "yes"
        told = [tags.get(name, "") for name in ("data", "overrides", "failure")]
        numbers = [run.data.metrics.get(name, "") for name in metrics]
        start = [run.info.run_id, run.info.run_name, run.info.status.lower(), before]
        writer.writerow([*start, *told, *numbers])
    return text.getvalue()


def _best(runs: Sequence[Run]) -> Run | None:
    """The finished run with the best score, if all were asked the same questions."""
    scored = [
        run for run in runs if run.info.status == "FINISHED" and _RANKED_BY in run.data.metrics
    ]
    splits = {run.data.tags.get("split_fingerprint") for run in scored}
    return _ordered(scored)[0] if len(splits) == 1 else None


def _praise(best: Run) -> str:
    score = readable.score(best.data.metrics[_RANKED_BY])
    return f"Best: **{best.info.run_name}**, {readable.title(_RANKED_BY)} **{score}**"


def _log_best(client: MlflowClient, parent_run_id: str, best: Run) -> None:
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    shown = [Metric(n, best.data.metrics[n], now, 0) for n in _SHOWN if n in best.data.metrics]
    client.log_batch(parent_run_id, metrics=shown)
    client.set_tag(parent_run_id, "best_run", best.info.run_name)
    client.set_tag(parent_run_id, "best_run_id", best.info.run_id)


def record_failure(
    client: MlflowClient, parent_run_id: str, *, overrides: Sequence[str], error: BaseException
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

    Returns
    -------
    str
        The id of the run.
    """
    parent = client.get_run(parent_run_id)
    why = failure_line(error)
    tags = {
        **source_tags(),
        "kind": "run",
        PARENT_TAG: parent_run_id,
        "overrides": shlex.join(overrides),
        "failure": why,
        "mlflow.note.content": f"Not begun: {why}\n\n```\n{readable.command(overrides)}\n```",
    }
    run = client.create_run(
        parent.info.experiment_id,
        tags=tags,
        run_name=(" ".join(overrides) or "failed job")[:_NAME_LENGTH],
    )
    client.set_terminated(run.info.run_id, "FAILED")
    return str(run.info.run_id)
