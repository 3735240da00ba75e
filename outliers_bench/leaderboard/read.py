"""Boards from the runs in MLflow: one per split, with the newest run of each identity."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from outliers_bench.config.renamed import METRICS
from outliers_bench.errors import BenchError
from outliers_bench.evaluation.metrics import is_score, lower_is_better
from outliers_bench.leaderboard.artifacts import read_class_scores, read_query_scores
from outliers_bench.leaderboard.boards import Board, Row, method_from_tags
from outliers_bench.leaderboard.differing_options import differing_options
from outliers_bench.leaderboard.find_runs import (
    MatchedRuns,
    find_runs,
    finite_metrics,
    run_identity,
    split_fingerprint,
)
from outliers_bench.leaderboard.published_rows import PublishedFigures, find_unmeasured
from outliers_bench.leaderboard.significance import add_significance
from outliers_bench.tracking.store import database_path, open_client

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

MAX_BY_CLASS = 12  # methods in the heat map of classes
_HINT = "make one with: python -m outliers_bench"


def read_boards(
    uri: str,
    *,
    metric: str = "hit_at_1",
    experiment: str | None = None,
    data: str | None = None,
    table: str | None = None,
) -> tuple[list[Board], dict[str, int]]:
    """Read the finished runs from MLflow and rank them, split by split.

    Only the newest of the runs with the same identity counts.

    Parameters
    ----------
    uri : str
        Tracking URI.
    metric : str
        Metric to rank by: scores and speeds in descending order, costs in ascending order.
    experiment, data : str or None
        Only the runs of this experiment, or on this data set.
    table : str or None
        Only the runs of this published table; its other rows follow, with the reason why they have
        no figures.

    Returns
    -------
    boards : list of Board
        Sorted by data set; within one, the split with the most runs first.
    excluded : dict of str to int
        Number of finished runs on no board, by what is missing: the metric, as for photos without
        labels, or the fingerprint of the split.

    Raises
    ------
    BenchError
        If there is no such database, experiment or table, or no run to rank.
    """
    path = database_path(uri)
    if path is not None and not path.exists():
        raise BenchError(f"no runs yet: there is no {path}; {_HINT}, or give another store as uri=")
    figures = PublishedFigures(table)  # raises for an unknown table, before MLflow is imported
    return _read(open_client(uri), figures, metric, experiment=experiment, data=data)


def build_boards(
    client: MlflowClient, runs: Sequence[Run], *, metric: str
) -> tuple[list[Board], dict[str, int]]:
    """Build boards from these runs only; see `read_boards`."""
    return _read(client, PublishedFigures(None), metric, runs=runs)


def _read(
    client: MlflowClient,
    figures: PublishedFigures,
    metric: str,
    *,
    experiment: str | None = None,
    data: str | None = None,
    runs: Sequence[Run] | None = None,
) -> tuple[list[Board], dict[str, int]]:
    table = figures.table
    found = find_runs(client, figures, experiment=experiment, data=data, runs=runs)
    filters = (("experiment", experiment), ("data", data), ("table", table))
    where = client.tracking_uri + "".join(f", {name} {value}" for name, value in filters if value)
    if not found.finished and not (table and found.others):
        raise BenchError(f"no finished runs in {where}; {_HINT}")
    with_metric = [run for run in found.finished if metric in finite_metrics(run)]
    scored = [run for run in with_metric if split_fingerprint(run)]
    if found.finished and not with_metric:
        if current := METRICS.get(metric):
            raise BenchError(f"metric={metric} was renamed; use metric={current}")
        known = sorted({name for run in found.finished for name in finite_metrics(run)})
        if not any(is_score(name) for name in known):
            raise BenchError(
                f"the {len(found.finished)} finished runs in {where} have no scores, because their "
                "photos have no labels; submit a ranking and use metric=submission/hit_at_1, or "
                "rank by a cost such as metric=search_ms_per_query"
            )
        raise BenchError(
            f"none of the {len(found.finished)} finished runs in {where} has the metric "
            f"{metric}; choose another with metric= ({', '.join(_rankable(known))}), or run on "
            "photos with labels"
        )
    if with_metric and not scored:
        raise BenchError(
            f"none of the {len(with_metric)} finished runs in {where} has the tag "
            f"split_fingerprint of the split it was scored on, so they cannot be compared; {_HINT}"
        )
    boards = [
        _add_artifacts(client, board, board_runs, metric)
        for board, board_runs in _split_into_boards(scored, found, figures, metric)
    ]
    boards.sort(key=lambda board: (board.data, -len(board.measured_rows), board.fingerprint))
    excluded = {
        metric: len(found.finished) - len(with_metric),
        "the fingerprint of their split": len(with_metric) - len(scored),
    }
    return boards, {missing: n for missing, n in excluded.items() if n}


def _rankable(names: Sequence[str]) -> list[str]:
    """Return the metrics to suggest: no intervals, timings or counts of images."""
    other = ("ci95/", "seconds_", "images_u", "images_c", "images_d", "images_n", "system/")
    return [name for name in names if not name.startswith(other)]


def _split_into_boards(
    scored: Sequence[Run], found: MatchedRuns, figures: PublishedFigures, metric: str
) -> Iterable[tuple[Board, list[Run]]]:
    """Yield a board for each split with its runs; one for each data set if no run has finished."""
    by_split: dict[str, list[Run]] = {}
    for run in scored:
        by_split.setdefault(split_fingerprint(run), []).append(run)
    for fingerprint, runs in by_split.items():
        first, counts = runs[0].data, finite_metrics(runs[0])
        queries, gallery = (int(counts.get(name, 0)) for name in ("queries", "gallery_images"))
        leave_one_out = first.params.get("data.protocol") == "leave_one_out"
        board = Board(
            data=first.tags.get("data", ""),
            fingerprint=fingerprint,
            queries=queries,
            gallery=gallery,
            leave_one_out=leave_one_out and queries == gallery,
            rows=tuple(rank_runs(runs, figures, metric)),
            table=figures.table or "",
        )
        yield _add_unmeasured(board, runs, found, figures, metric), runs
    if not by_split:
        for data in dict.fromkeys(run.data.tags.get("data", "") for run in found.others):
            board = Board(data, "", 0, 0, (), table=figures.table or "")
            same_data = [run for run in found.others if run.data.tags.get("data", "") == data]
            yield _add_unmeasured(board, same_data, found, figures, metric), []


def _add_unmeasured(
    board: Board, runs: Sequence[Run], found: MatchedRuns, figures: PublishedFigures, metric: str
) -> Board:
    """Add the rows of the requested table that were not measured."""
    if not figures.table:
        return board
    unscored = [
        run
        for run in found.finished
        if metric not in finite_metrics(run) or not split_fingerprint(run)
    ]
    experiments = {run.info.experiment_id for run in runs}
    unmeasured = [*found.others, *unscored]
    rows = find_unmeasured(board, unmeasured, figures, experiments=experiments)
    return replace(board, rows=(*board.rows, *rows))


def rank_runs(runs: Sequence[Run], figures: PublishedFigures, metric: str) -> Iterable[Row]:
    """Yield the rows of a board, best first."""
    settings = differing_options(runs)
    metrics_of = {run.info.run_id: finite_metrics(run) for run in runs}
    ordered = sorted(runs, key=lambda run: _sort_key(metrics_of[run.info.run_id], metric, run))
    values = [metrics_of[run.info.run_id][metric] for run in ordered]
    for run in ordered:
        metrics = metrics_of[run.info.run_id]
        row = Row(
            rank=values.index(metrics[metric]) + 1,
            name=run.info.run_name or run.info.run_id,
            run_id=run.info.run_id,
            fingerprint=split_fingerprint(run),
            method=method_from_tags(run.data.tags, settings[run.info.run_id]),
            metrics=metrics,
            experiment_id=str(run.info.experiment_id),
            tags=dict(run.data.tags),
            started=int(run.info.start_time or 0),
        )
        for published in figures.of_identity(run_identity(run)):
            yield replace(row, published=published)


def _sort_key(
    metrics: Mapping[str, float], metric: str, run: Run
) -> tuple[float, float, float, str]:
    """Return the key to sort rows by: the metric, then MAP@R, search time and name."""
    value = metrics[metric] if lower_is_better(metric) else -metrics[metric]
    cost = metrics.get("search_ms_per_query", math.inf)
    return value, -metrics.get("map_at_r", 0.0), cost, str(run.info.run_name)


def _add_artifacts(client: MlflowClient, board: Board, runs: Sequence[Run], metric: str) -> Board:
    """Add significance and scores by class from the artifacts of the runs."""
    if not runs:
        return board
    rows, not_compared = list(board.measured_rows), ""
    if is_score(metric) and len(runs) > 1:
        rows, not_compared = add_significance(rows, read_query_scores(client, runs, metric))
    by_id = {run.info.run_id: run for run in runs}
    best = list(dict.fromkeys(row.run_id for row in rows))[:MAX_BY_CLASS]
    for name in dict.fromkeys((metric, "hit_at_1")):
        tables = read_class_scores(client, [by_id[run_id] for run_id in best], name)
        if tables:
            board = _add_classes(board, tables, name)
            break
    unmeasured = (row for row in board.rows if not row.is_measured)
    return replace(board, rows=(*rows, *unmeasured), not_compared=not_compared)


def _add_classes(
    board: Board, tables: Mapping[str, Mapping[str, tuple[float, float]]], metric: str
) -> Board:
    values: dict[str, dict[str, float]] = {}
    queries: dict[str, int] = {}
    for run_id, table in tables.items():
        values[run_id] = {name: value for name, (value, _) in table.items() if math.isfinite(value)}
        queries |= {name: int(n) for name, (_, n) in table.items() if math.isfinite(n)}
    return replace(board, class_metric=metric, per_class=values, class_queries=queries)
