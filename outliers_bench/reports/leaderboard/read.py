"""From the runs in MLflow to boards: one a split, newest run an identity, best first."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from outliers_bench.errors import BenchError
from outliers_bench.evaluation.names import less_is_better
from outliers_bench.reports.leaderboard.artifacts import per_class, per_query
from outliers_bench.reports.leaderboard.boards import METHOD, Board, Row
from outliers_bench.reports.leaderboard.compare import with_significance
from outliers_bench.reports.leaderboard.table_rows import Figures, unmeasured
from outliers_bench.tracking.search import search_runs
from outliers_bench.tracking.store import database_path, open_client, resolve_uri

if TYPE_CHECKING:
    import pandas as pd
    from mlflow import MlflowClient
    from mlflow.entities import Run

BEST_BY_CLASS = 12  # methods side by side in the table of classes
_HOW = "make one with: python -m outliers_bench"


@dataclass(frozen=True)
class _Found:
    """The runs that a question matches, newest first: finished ones once an identity."""

    finished: list[Run]
    others: list[Run]


def read_boards(
    uri: str,
    *,
    metric: str = "hit_at_1",
    experiment: str | None = None,
    data: str | None = None,
    table: str | None = None,
    runs: Collection[str] | None = None,
) -> tuple[list[Board], int]:
    """Read the finished runs from MLflow and rank them, split by split.

    Of runs with the same identity only the newest counts.

    Parameters
    ----------
    uri : str
        Tracking URI.
    metric : str
        What to rank by: scores and speeds from large to small, costs from small to large.
    experiment, data : str or None
        Only the runs of that experiment, or on that data set.
    table : str or None
        Only the runs of that published table; its other rows follow, with the reason why they
        have no figures.
    runs : collection of str or None
        Only the runs with these ids.

    Returns
    -------
    boards : list of Board
        By data set; of one data set, the split with the most runs first.
    n_left_out : int
        Finished runs without the metric, such as those on photos without labels.

    Raises
    ------
    BenchError
        If there is no such database, experiment or table, or nothing to rank.
    """
    path = database_path(uri)
    if path is not None and not path.exists():
        raise BenchError(f"no runs yet: there is no {path}; {_HOW}, or say where with --uri")
    figures = Figures(table)
    client = open_client(uri)
    found = _find(client, figures, experiment=experiment, data=data, runs=runs)
    asked = (("experiment", experiment), ("data", data), ("table", table))
    where = resolve_uri(uri) + "".join(f", {name} {value}" for name, value in asked if value)
    if not found.finished and not (table and found.others):
        raise BenchError(f"no finished runs in {where}; {_HOW}")
    scored = [run for run in found.finished if metric in run.data.metrics]
    if found.finished and not scored:
        known = sorted({name for run in found.finished for name in run.data.metrics})
        raise BenchError(
            f"none of the {len(found.finished)} finished runs in {where} has the metric "
            f"{metric}; rank by one they have with --metric ({', '.join(_short(known))}), or run "
            "on photos with labels"
        )
    boards = [
        _with_tables(client, board, runs_of, metric)
        for board, runs_of in _boards(scored, found, figures, metric)
    ]
    boards.sort(key=lambda board: (board.data, -len(board.measured), board.fingerprint))
    return boards, len(found.finished) - len(scored)


def _short(names: Sequence[str]) -> list[str]:
    """The metrics one may want to rank by: not the intervals, timings and counts of images."""
    beside = ("ci95/", "seconds_", "images_u", "images_c", "images_d", "system/")
    return [name for name in names if not name.startswith(beside)]


def _find(
    client: MlflowClient,
    figures: Figures,
    *,
    experiment: str | None,
    data: str | None,
    runs: Collection[str] | None,
) -> _Found:
    experiments = None
    if experiment is not None:
        known = client.get_experiment_by_name(experiment)
        if known is None:
            names = ", ".join(other.name for other in client.search_experiments())
            raise BenchError(f"no experiment {experiment}; there is {names}")
        experiments = [known.experiment_id]
    every = [
        run
        for run in search_runs(
            client,
            "tags.kind = 'run'",
            experiments=experiments,
            order="attributes.start_time DESC",
        )
        # A run that was refused before its photos were known says nothing of them.
        if (data is None or run.data.tags.get("data", data) == data)
        and (runs is None or run.info.run_id in runs)
    ]
    newest: dict[str, Run] = {}
    for run in every:
        if run.info.status == "FINISHED" and (data is None or "data" in run.data.tags):
            newest.setdefault(_identity(run), run)
    figures.learn(every, _identity)
    others = [run for run in every if run.info.status != "FINISHED"]
    return _Found(
        [run for run in newest.values() if figures.wants(_identity(run))],
        [run for run in others if figures.wants_tagged(run)],
    )


def _identity(run: Run) -> str:
    return str(run.data.tags.get("identity") or run.info.run_id)


def _boards(
    scored: Sequence[Run], found: _Found, figures: Figures, metric: str
) -> Iterable[tuple[Board, list[Run]]]:
    """A board for each split, with its runs; where nothing finished, one for each data set."""
    by_split: dict[str, list[Run]] = {}
    for run in scored:
        by_split.setdefault(run.data.tags.get("split_fingerprint", ""), []).append(run)
    for fingerprint, runs in by_split.items():
        first = runs[0].data
        board = Board(
            data=first.tags.get("data", ""),
            fingerprint=fingerprint,
            queries=int(first.metrics.get("queries", 0)),
            gallery=int(first.metrics.get("gallery_images", 0)),
            rows=tuple(_ranked(runs, figures, metric)),
            table=figures.table or "",
        )
        yield _completed(board, runs, found, figures, metric), runs
    if not by_split:
        for data in dict.fromkeys(run.data.tags.get("data", "") for run in found.others):
            board = Board(data, "", 0, 0, (), figures.table or "")
            alike = [run for run in found.others if run.data.tags.get("data", "") == data]
            yield _completed(board, alike, found, figures, metric), []


def _completed(
    board: Board, runs: Sequence[Run], found: _Found, figures: Figures, metric: str
) -> Board:
    if not figures.table:
        return board
    unscored = [run for run in found.finished if metric not in run.data.metrics]
    more = unmeasured(board, [*found.others, *unscored], figures, places=_places(runs))
    return replace(board, rows=(*board.rows, *more))


def _places(runs: Sequence[Run]) -> set[str]:
    return {run.info.experiment_id for run in runs}


def _ranked(runs: Sequence[Run], figures: Figures, metric: str) -> Iterable[Row]:
    sign = 1 if less_is_better(metric) else -1
    ordered = sorted(
        runs, key=lambda run: (sign * run.data.metrics[metric], run.info.run_name or "")
    )
    values = [run.data.metrics[metric] for run in ordered]
    for run in ordered:
        row = Row(
            rank=values.index(run.data.metrics[metric]) + 1,
            name=run.info.run_name or run.info.run_id,
            run_id=run.info.run_id,
            fingerprint=run.data.tags.get("split_fingerprint", ""),
            method={key: run.data.tags.get(key, "") for key in METHOD},
            metrics=dict(run.data.metrics),
            experiment_id=str(run.info.experiment_id),
            tags=dict(run.data.tags),
            started=int(run.info.start_time or 0),
        )
        for published in figures.of(_identity(run)):
            yield replace(row, published=published)


def _with_tables(client: MlflowClient, board: Board, runs: Sequence[Run], metric: str) -> Board:
    """The board with what its runs' artifacts say: significance and classes."""
    if not runs:
        return board
    rows, why = list(board.measured), ""
    if not less_is_better(metric) and len(runs) > 1:
        rows, why = with_significance(rows, per_query(client, runs, metric))
    by_id = {run.info.run_id: run for run in runs}
    best = list(dict.fromkeys(row.run_id for row in rows))[:BEST_BY_CLASS]
    for name in dict.fromkeys((metric, "hit_at_1")):
        found = per_class(client, [by_id[run_id] for run_id in best], name)
        if found:
            board = _with_classes(board, found, name)
            break
    unmeasured_rows = (row for row in board.rows if not row.measured)
    return replace(board, rows=(*rows, *unmeasured_rows), not_compared=why)


def _with_classes(board: Board, found: dict[str, pd.DataFrame], metric: str) -> Board:
    values: dict[str, dict[str, float]] = {}
    queries: dict[str, int] = {}
    for run_id, table in found.items():
        names = list(map(str, table.index))
        values[run_id] = dict(zip(names, table[metric].tolist(), strict=True))
        queries |= dict(zip(names, table["queries"].astype(int).tolist(), strict=True))
    return replace(board, class_metric=metric, per_class=values, class_queries=queries)
