"""Boards from the runs in MLflow: one per split, with the newest run of each identity."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from outliers_bench.config.renamed import METRICS
from outliers_bench.errors import BenchError
from outliers_bench.evaluation.metrics import BALANCED, is_score, lower_is_better
from outliers_bench.leaderboard.artifacts import read_class_scores, read_query_scores
from outliers_bench.leaderboard.boards import Board, row_of
from outliers_bench.leaderboard.columns import heading
from outliers_bench.leaderboard.differing_options import differing_options
from outliers_bench.leaderboard.find_runs import (
    find_runs,
    finite_metrics,
    is_older_mrr,
    run_identity,
    split_fingerprint,
)
from outliers_bench.leaderboard.published_rows import PublishedFigures, find_unmeasured
from outliers_bench.leaderboard.significance import add_significance
from outliers_bench.tracking.lookup import check_store_exists
from outliers_bench.tracking.store import open_client

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
    check_store_exists(uri)
    figures = PublishedFigures(table)  # raises for an unknown table, before MLflow is imported
    client = open_client(uri)
    runs = find_runs(client, experiment=experiment, data=data)
    filters = (("experiment", experiment), ("data", data), ("table", table))
    where = client.tracking_uri + "".join(f", {name} {value}" for name, value in filters if value)
    return _build(client, runs, figures, metric, where=where)


def build_boards(client: MlflowClient, runs: Sequence[Run], *, metric: str) -> list[Board]:
    """Build boards from these runs only; see `read_boards`."""
    newest_first = sorted(runs, key=lambda run: -int(run.info.start_time or 0))
    boards, _ = _build(client, newest_first, PublishedFigures(), metric, where=client.tracking_uri)
    return boards


def _build(
    client: MlflowClient,
    runs: Sequence[Run],
    figures: PublishedFigures,
    metric: str,
    *,
    where: str,
) -> tuple[list[Board], dict[str, int]]:
    figures.add_runs(runs)
    newest: dict[str, Run] = {}
    for run in runs:
        if run.info.status == "FINISHED" and figures.includes(run):
            newest.setdefault(run_identity(run), run)
    finished = list(newest.values())
    others = [run for run in runs if run.info.status != "FINISHED" and figures.own_rows(run)]
    if not finished and not others:
        raise BenchError(f"no finished runs in {where}; {_HINT}")
    with_metric = [run for run in finished if metric in finite_metrics(run)]
    if finished and not with_metric:
        raise BenchError(_describe_missing(metric, finished, where))
    by_split: dict[str, list[Run]] = {}
    unscored = [*others]
    for run in finished:
        if metric in finite_metrics(run) and split_fingerprint(run):
            by_split.setdefault(split_fingerprint(run), []).append(run)
        else:
            unscored.append(run)
    if with_metric and not by_split:
        raise BenchError(
            f"none of the {len(with_metric)} finished runs in {where} has the tag "
            f"split_fingerprint of the split it was scored on, so they cannot be compared; {_HINT}"
        )
    boards = [
        _add_artifacts(client, rank_runs(same_split, figures, metric), same_split, metric)
        for same_split in by_split.values()
    ]
    if not boards:  # of a published table of which no run has finished
        names = dict.fromkeys(run.data.tags.get("data", "") for run in others)
        boards = [Board(name, "", 0, 0, (), table=figures.table or "") for name in names]
    boards = [
        replace(board, rows=(*board.rows, *find_unmeasured(board, unscored, figures)))
        for board in boards
    ]
    boards.sort(key=lambda board: (board.data, -len(board.measured_rows), board.fingerprint))
    is_older = any(is_older_mrr(run, metric) for run in finished)
    needed = f"{metric} of the full ranking: run them again" if is_older else metric
    excluded = {
        needed: len(finished) - len(with_metric),
        "the fingerprint of their split": len(with_metric) - sum(map(len, by_split.values())),
    }
    return boards, {missing: n for missing, n in excluded.items() if n}


def _describe_missing(metric: str, finished: Sequence[Run], where: str) -> str:
    """Return why no run has the metric of the ranking, and what to do."""
    if current := METRICS.get(metric):
        return f"metric={metric} was renamed; use metric={current}"
    known = sorted({name for run in finished for name in finite_metrics(run)})
    if not any(is_score(name) for name in known):
        return (
            f"the {len(finished)} finished runs in {where} have no scores, because their photos "
            "have no labels; submit a ranking and use metric=submission/hit_at_1, or rank by a "
            "cost such as metric=search_ms_per_query"
        )
    # No intervals, timings or counts of images.
    other = (
        *("ci95/", "seconds_", "images_u", "images_c", "images_d", "images_n", "system/"),
        *("chance/", "design_effect/", "smallest_difference/", "clusters"),
    )
    rankable = ", ".join(name for name in known if not name.startswith(other))
    return (
        f"none of the {len(finished)} finished runs in {where} has the metric {metric}; choose "
        f"another with metric= ({rankable}), or run on photos with labels"
    )


def rank_runs(runs: Sequence[Run], figures: PublishedFigures, metric: str) -> Board:
    """Rank runs on the same split that have the metric."""
    settings = differing_options(runs)
    metrics_of = {run.info.run_id: finite_metrics(run) for run in runs}
    ordered = sorted(runs, key=lambda run: _sort_key(metrics_of[run.info.run_id], metric, run))
    values = [metrics_of[run.info.run_id][metric] for run in ordered]
    rows = [
        row_of(
            run,
            settings=settings[run.info.run_id],
            rank=values.index(value) + 1,
            metrics=metrics_of[run.info.run_id],
            published=published,
        )
        for run, value in zip(ordered, values, strict=True)
        for published in figures.of(run)
    ]
    first, counts = runs[0].data, metrics_of[runs[0].info.run_id]
    queries, gallery = (int(counts.get(name, 0)) for name in ("queries", "gallery_images"))
    leave_one_out = first.params.get("data.protocol") == "leave_one_out"
    return Board(
        data=first.tags.get("data", ""),
        fingerprint=split_fingerprint(runs[0]),
        queries=queries,
        gallery=gallery,
        splits=int(first.tags.get("splits", 1)),
        is_validation=first.tags.get("evaluate") == "validation",
        leave_one_out=leave_one_out and queries == gallery,
        rows=tuple(rows),
        table=figures.table or "",
        older_mrr=sum(is_older_mrr(run, "mrr") for run in runs),
    )


def _sort_key(
    metrics: Mapping[str, float], metric: str, run: Run
) -> tuple[float, float, float, str]:
    """Return the key to sort rows by: the metric, then MAP@R, search time and name."""
    value = metrics[metric] if lower_is_better(metric) else -metrics[metric]
    cost = metrics.get("search_ms_per_query", math.inf)
    return value, -metrics.get("map_at_r", 0.0), cost, str(run.info.run_name)


def _add_artifacts(client: MlflowClient, board: Board, runs: Sequence[Run], metric: str) -> Board:
    """Add significance and scores by class from the artifacts of the runs."""
    if len(runs) > 1 and not is_score(metric):
        reason = f"Not compared with the best: {heading(metric)} has no figures per query."
        board = replace(board, not_compared=reason)
    elif len(runs) > 1:
        plain = metric.removeprefix(BALANCED)
        scores = read_query_scores(client, runs, plain)
        board = add_significance(board, scores, balanced=plain != metric)
    by_id = {run.info.run_id: run for run in runs}
    best = list(dict.fromkeys(row.run_id for row in board.rows))[:MAX_BY_CLASS]
    for name in dict.fromkeys((metric.removeprefix(BALANCED), "hit_at_1")):
        if tables := read_class_scores(client, [by_id[run_id] for run_id in best], name):
            return replace(board, class_metric=name, per_class=tables)
    return board
