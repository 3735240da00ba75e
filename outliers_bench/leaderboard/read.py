"""From the runs in MLflow to boards: one a split, newest run an identity, best first."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from outliers_bench.errors import BenchError
from outliers_bench.evaluation.metric_names import is_score, less_is_better
from outliers_bench.leaderboard.artifacts import per_class, per_query
from outliers_bench.leaderboard.boards import Board, Row, method_of
from outliers_bench.leaderboard.differing_options import settings
from outliers_bench.leaderboard.find_runs import Found, find, identity, numbers, split_of
from outliers_bench.leaderboard.published_rows import Figures, unmeasured
from outliers_bench.leaderboard.significance import with_significance
from outliers_bench.tracking.store import database_path, open_client

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

BEST_BY_CLASS = 12  # methods side by side in the table of classes
_HOW = "make one with: python -m outliers_bench"


def read_boards(
    uri: str,
    *,
    metric: str = "hit_at_1",
    experiment: str | None = None,
    data: str | None = None,
    table: str | None = None,
) -> tuple[list[Board], dict[str, int]]:
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

    Returns
    -------
    boards : list of Board
        By data set; of one data set, the split with the most runs first.
    left_out : dict of str to int
        How many finished runs stand on no board, by what they are without: the metric, as on
        photos without labels, or as a finite number; or the fingerprint of their split.

    Raises
    ------
    BenchError
        If there is no such database, experiment or table, or nothing to rank.
    """
    path = database_path(uri)
    if path is not None and not path.exists():
        raise BenchError(f"no runs yet: there is no {path}; {_HOW}, or give another store as uri=")
    figures = Figures(table)  # refuses what is no table, before MLflow is imported
    return _read(open_client(uri), figures, metric, experiment=experiment, data=data)


def boards_of(
    client: MlflowClient, runs: Sequence[Run], *, metric: str
) -> tuple[list[Board], dict[str, int]]:
    """The same of runs that were just read, and of no others; see `read_boards`."""
    return _read(client, Figures(None), metric, runs=runs)


def _read(
    client: MlflowClient,
    figures: Figures,
    metric: str,
    *,
    experiment: str | None = None,
    data: str | None = None,
    runs: Sequence[Run] | None = None,
) -> tuple[list[Board], dict[str, int]]:
    table = figures.table
    found = find(client, figures, experiment=experiment, data=data, runs=runs)
    asked = (("experiment", experiment), ("data", data), ("table", table))
    where = client.tracking_uri + "".join(f", {name} {value}" for name, value in asked if value)
    if not found.finished and not (table and found.others):
        raise BenchError(f"no finished runs in {where}; {_HOW}")
    with_metric = [run for run in found.finished if metric in numbers(run)]
    scored = [run for run in with_metric if split_of(run)]
    if found.finished and not with_metric:
        known = sorted({name for run in found.finished for name in numbers(run)})
        raise BenchError(
            f"none of the {len(found.finished)} finished runs in {where} has the metric "
            f"{metric}; rank by one they have with metric= ({', '.join(_short(known))}), or run "
            "on photos with labels"
        )
    if with_metric and not scored:
        raise BenchError(
            f"none of the {len(with_metric)} finished runs in {where} says which split it was "
            f"scored on (tag split_fingerprint), so they cannot be compared; {_HOW}"
        )
    boards = [
        _with_tables(client, board, runs_of, metric)
        for board, runs_of in _boards(scored, found, figures, metric)
    ]
    boards.sort(key=lambda board: (board.data, -len(board.measured), board.fingerprint))
    left_out = {
        metric: len(found.finished) - len(with_metric),
        "the fingerprint of their split": len(with_metric) - len(scored),
    }
    return boards, {what: n for what, n in left_out.items() if n}


def _short(names: Sequence[str]) -> list[str]:
    """The metrics one may want to rank by: not the intervals, timings and counts of images."""
    beside = ("ci95/", "seconds_", "images_u", "images_c", "images_d", "images_n", "system/")
    return [name for name in names if not name.startswith(beside)]


def _boards(
    scored: Sequence[Run], found: Found, figures: Figures, metric: str
) -> Iterable[tuple[Board, list[Run]]]:
    """A board for each split, with its runs; where nothing finished, one for each data set."""
    by_split: dict[str, list[Run]] = {}
    for run in scored:
        by_split.setdefault(split_of(run), []).append(run)
    for fingerprint, runs in by_split.items():
        first, counts = runs[0].data, numbers(runs[0])
        queries, gallery = (int(counts.get(name, 0)) for name in ("queries", "gallery_images"))
        each_against_all = first.params.get("data.protocol") == "leave_one_out"
        board = Board(
            data=first.tags.get("data", ""),
            fingerprint=fingerprint,
            queries=queries,
            gallery=gallery,
            leave_one_out=each_against_all and queries == gallery,
            rows=tuple(_ranked(runs, figures, metric)),
            table=figures.table or "",
        )
        yield _completed(board, runs, found, figures, metric), runs
    if not by_split:
        for data in dict.fromkeys(run.data.tags.get("data", "") for run in found.others):
            board = Board(data, "", 0, 0, (), table=figures.table or "")
            alike = [run for run in found.others if run.data.tags.get("data", "") == data]
            yield _completed(board, alike, found, figures, metric), []


def _completed(
    board: Board, runs: Sequence[Run], found: Found, figures: Figures, metric: str
) -> Board:
    if not figures.table:
        return board
    unscored = [run for run in found.finished if metric not in numbers(run) or not split_of(run)]
    more = unmeasured(board, [*found.others, *unscored], figures, places=_places(runs))
    return replace(board, rows=(*board.rows, *more))


def _places(runs: Sequence[Run]) -> set[str]:
    return {run.info.experiment_id for run in runs}


def _ranked(runs: Sequence[Run], figures: Figures, metric: str) -> Iterable[Row]:
    told = settings(runs)
    found = {run.info.run_id: numbers(run) for run in runs}
    ordered = sorted(runs, key=lambda run: _place(found[run.info.run_id], metric, run))
    values = [found[run.info.run_id][metric] for run in ordered]
    for run in ordered:
        metrics = found[run.info.run_id]
        row = Row(
            rank=values.index(metrics[metric]) + 1,
            name=run.info.run_name or run.info.run_id,
            run_id=run.info.run_id,
            fingerprint=split_of(run),
            method=method_of(run.data.tags, told[run.info.run_id]),
            metrics=metrics,
            experiment_id=str(run.info.experiment_id),
            tags=dict(run.data.tags),
            started=int(run.info.start_time or 0),
        )
        for published in figures.of(identity(run)):
            yield replace(row, published=published)


def _place(metrics: Mapping[str, float], metric: str, run: Run) -> tuple[float, float, float, str]:
    """What the rows are ordered by: the metric, and among equals what else one would ask for."""
    value = metrics[metric] if less_is_better(metric) else -metrics[metric]
    cost = metrics.get("search_ms_per_query", math.inf)
    return value, -metrics.get("map_at_r", 0.0), cost, str(run.info.run_name)


def _with_tables(client: MlflowClient, board: Board, runs: Sequence[Run], metric: str) -> Board:
    """The board with what its runs' artifacts say: significance and classes."""
    if not runs:
        return board
    rows, why = list(board.measured), ""
    if is_score(metric) and len(runs) > 1:
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


def _with_classes(
    board: Board, found: Mapping[str, Mapping[str, tuple[float, float]]], metric: str
) -> Board:
    values: dict[str, dict[str, float]] = {}
    queries: dict[str, int] = {}
    for run_id, table in found.items():
        values[run_id] = {name: value for name, (value, _) in table.items() if math.isfinite(value)}
        queries |= {name: int(n) for name, (_, n) in table.items() if math.isfinite(n)}
    return replace(board, class_metric=metric, per_class=values, class_queries=queries)
