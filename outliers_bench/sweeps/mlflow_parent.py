"""Parent run of a sweep in MLflow, with a child run for each job."""

from __future__ import annotations

import logging
import shlex
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from outliers_bench.reports import numbers
from outliers_bench.sweeps.summary import (
    RankedRuns,
    Tally,
    copied_scores,
    describe_best,
    describe_parts,
    find_final,
    runs_csv,
    runs_table,
)
from outliers_bench.sweeps.trials import VALIDATION_TAG, expected_jobs
from outliers_bench.tracking import senders
from outliers_bench.tracking.outbox import Box, Start, boxes
from outliers_bench.tracking.records import name_of, receipts_of, without_password
from outliers_bench.tracking.runs import (
    REUSED_TAG,
    add_tags,
    child_runs,
    program_tags,
    tag_reused_run,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

_MAX_ROWS = 20  # in the description, which MLflow truncates at 8,000 characters
_TABLE = "children.csv"
_NAME_LENGTH = 120
_KINDS = ("glob(", "range(", "choice(", "interval(", "shuffle(", "tag(")

_log = logging.getLogger(__name__)


def start_parent(
    outbox: Path,
    uri: str,
    experiment: str,
    *,
    overrides: Sequence[str],
    n_jobs: int | None = None,
    swept: Sequence[str] = (),
    objective: str = "hit_at_1",
    direction: str = "maximize",
    validation: float | None = None,
) -> Box:
    """Start the parent run of a sweep, named after the overrides on the command line.

    Parameters
    ----------
    outbox : Path
    uri : str
        Absolute tracking URI.
    experiment : str
    overrides : sequence of str
        Overrides on the command line.
    n_jobs : int or None
        Number of jobs, if it is known.
    swept : sequence of str
        Swept options that are not on the command line, as `key=values`.
    objective : str
        Metric that the sweep optimizes.
    direction : str
        `maximize` or `minimize`.
    validation : float or None
        Share of the queries that the jobs are measured on, if the winner is run on the others.
    """
    overrides = [without_password(word) for word in overrides]
    tags = {
        **program_tags(),
        "kind": "sweep",
        "overrides": shlex.join(overrides),
        "objective": objective,
        "direction": direction,
        **({} if n_jobs is None else {"n_jobs": str(n_jobs)}),
        **({} if validation is None else {VALIDATION_TAG: f"{validation:g}"}),
        "mlflow.note.content": f"Running: `{numbers.repeat_command(['-m', *overrides])}`",
    }
    start = Start(
        uri=uri,
        experiment=experiment,
        name=sweep_name(overrides, swept, n_jobs),
        tags=tags,
        parent=None,
        if_lost={"call": name_of(finish_parent), "arguments": {"status": "KILLED"}},
    )
    box = senders.create_box(outbox, start)
    box.add(prepare_to_finish)
    return box


def sweep_name(overrides: Sequence[str], swept: Sequence[str], n_jobs: int | None) -> str:
    """Return the name of a sweep, which begins with the options that it varies.

    `swept` are the swept options that are not on the command line, as `key=values`.
    """
    jobs = "" if n_jobs is None else f" · {n_jobs} jobs"
    return _describe(overrides, swept)[: _NAME_LENGTH - len(jobs)] + jobs


def _describe(overrides: Sequence[str], swept: Sequence[str]) -> str:
    varied = [override for override in overrides if _is_swept(override)]
    if len(varied) == 1 and varied[0].startswith("+experiments/"):
        from outliers_bench.config import published_tags  # imported late, as it imports Hydra

        table, _, rows = varied[0].removeprefix("+experiments/").partition("=")
        name = table + ("" if rows == "glob(*)" else f" {rows}")
        # With other changes the runs are not rows of the table.
        changes = published_tags.changes(overrides)
        return f"sweep {name} {' '.join(changes)}" if changes else f"table {name}"
    experiments = [o.partition("=")[2] for o in overrides if o.startswith("+experiments=")]
    varied = [*(name for name in experiments if "," not in name), *varied]
    return f"sweep {' '.join(varied or swept) or f'{datetime.now().astimezone():%Y-%m-%d %H:%M}'}"


def _is_swept(override: str) -> bool:
    value = override.partition("=")[2]
    is_bare = not value.startswith(("[", "{", "'", '"'))
    return is_bare and ("," in value or value.startswith(_KINDS))


def prepare_to_finish(client: MlflowClient, run_id: str) -> None:  # noqa: ARG001
    """Compile the template of the leaderboard while the jobs of a sweep are running."""
    with suppress(Exception):  # `finish_parent` will report it
        from outliers_bench.leaderboard.page import HERE
        from outliers_bench.reports.html import load_template

        load_template(HERE)


def count_unfinished(box: Box) -> tuple[int, int]:
    """Count the jobs of a sweep that did not finish, or not start, and those that have a record."""
    outbox = box.path.parent
    status_of: dict[str, str | None] = {}
    for job in boxes(outbox):
        with suppress(OSError, ValueError):  # of another version, or delivered meanwhile
            if job.start.parent == box.key:
                status_of[job.key] = job.last_arguments().get("status")
    # After the boxes: one that is delivered meanwhile has a receipt.
    status_of |= {key: receipt.status for key, receipt in receipts_of(outbox, box.key).items()}
    statuses = list(status_of.values())
    n_reused = sum(record.call == name_of(tag_reused_run) for record in box.records())
    tally = Tally.count(statuses, n_jobs=expected_jobs(box), n_reused=n_reused)
    return tally.unfinished, len(statuses) + n_reused


def finish_parent(
    client: MlflowClient, run_id: str, *, time: int, status: str | None = None
) -> None:
    """Summarize a sweep in its parent run and end it.

    Counts finished and failed jobs, copies the scores of the best child if all were scored on the
    same split, and describes the children in a table; the full table is the artifact
    `children.csv`, and `leaderboard.html`, `.md` and `.csv` compare the finished ones. Earlier runs
    that jobs reused count as children. With a validation part, the best child is the run of the
    winner on the other queries, and its scores on validation are `validation/<metric>`.

    `time` is the end in milliseconds since 1970, `status` FINISHED, FAILED or KILLED; without one,
    the sweep has FAILED if any job did not finish.
    """
    from mlflow.entities import Metric

    own = child_runs(client, run_id)
    parent = client.get_run(run_id)
    reused_ids = _reused_ids(parent)
    reused = _reused_runs(client, reused_ids, own=own)
    final, jobs = find_final(parent, [*reused, *own])
    ranked = RankedRuns.from_tags(parent.data.tags, jobs)
    tally = Tally.count(
        [run.info.status for run in own],
        n_jobs=int(parent.data.tags.get("n_jobs", 0)),
        n_reused=len(reused_ids),
    )
    tags = {"n_finished": str(tally.finished), "n_failed": str(tally.failed)}
    repeat = numbers.repeat_command(["-m", *shlex.split(parent.data.tags.get("overrides", ""))])
    chosen = ranked.best()
    best = chosen if final is None else final
    if best is not None:
        scores = copied_scores(best, ranked.shown)
        if final is not None and chosen is not None:
            on_validation = copied_scores(chosen, ranked.shown)
            scores |= {f"{VALIDATION_TAG}/{name}": v for name, v in on_validation.items()}
        client.log_batch(run_id, metrics=[Metric(name, v, time, 0) for name, v in scores.items()])
        tags |= {
            "best_run": str(best.info.run_name),
            "best_run_id": best.info.run_id,
            "best_parameters": shlex.join(ranked.parameters(best)),
        }
    parts = [
        tally.message(),
        "" if best is None else describe_best(best, ranked),
        "" if final is None or chosen is None else describe_parts(chosen, final, ranked.shown),
        f"Repeat:\n\n```\n{repeat}\n```",
        runs_table(ranked.runs[:_MAX_ROWS], ranked.shown),
    ]
    if (more := len(ranked.runs) - _MAX_ROWS) > 0:
        parts.append(f"... and {more} more: `{_TABLE}`, under Artifacts, has all of them")
    add_tags(client, run_id, {**tags, "mlflow.note.content": "\n\n".join(filter(None, parts))})
    every = [*ranked.runs, *([] if final is None else [final])]
    client.log_text(run_id, runs_csv(every, run_id, ranked.shown), _TABLE)
    if tally.finished:
        _log_leaderboard(client, run_id, every, ranked.objective)
    status = status or ("FAILED" if tally.unfinished else "FINISHED")
    client.set_terminated(run_id, status, end_time=time)


def discard_parent(client: MlflowClient, run_id: str) -> None:
    """Delete the parent run of a sweep that was refused before its first job."""
    client.set_terminated(run_id, "FAILED")
    client.delete_run(run_id)


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


def _log_leaderboard(
    client: MlflowClient, parent_run_id: str, runs: Sequence[Run], metric: str
) -> None:
    """Log the leaderboard of these runs as artifacts; failures are logged, not raised."""
    try:
        from outliers_bench.leaderboard import build_boards, write_boards

        boards = build_boards(client, runs, metric=metric)
        with tempfile.TemporaryDirectory() as folder:
            write_boards(boards, Path(folder), metric=metric, formats=("html", "md", "csv"))
            client.log_artifacts(parent_run_id, folder)
    except Exception as error:
        _log.warning("no leaderboard was recorded for the sweep: %s", error)
