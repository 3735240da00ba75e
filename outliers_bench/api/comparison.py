"""Comparison of results and recorded runs, by the code of the leaderboard."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from outliers_bench.api.result import Result
from outliers_bench.errors import BenchError
from outliers_bench.evaluation.choose_clusters import cluster_texts
from outliers_bench.evaluation.metrics import BALANCED, DEFINITIONS, is_score
from outliers_bench.evaluation.statistics import cluster_unit
from outliers_bench.leaderboard.artifacts import QueryScores, read_query_scores
from outliers_bench.leaderboard.boards import Board
from outliers_bench.leaderboard.columns import select_columns
from outliers_bench.leaderboard.find_runs import (
    finite_metrics,
    split_fingerprint,
    with_current_names,
)
from outliers_bench.leaderboard.published_rows import PublishedFigures
from outliers_bench.leaderboard.read import rank_runs
from outliers_bench.leaderboard.significance import add_significance
from outliers_bench.tracking.params import describe_method, flatten, to_mapping
from outliers_bench.types import ImageSet

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.entities import Run

_log = logging.getLogger(__name__)


def compare(
    runs: Sequence[Result | str] | Result | str,
    *,
    metric: str = "hit_at_1",
    uri: str = "sqlite:///mlflow.db",
) -> pd.DataFrame:
    """Compare runs on the same split, as the leaderboard does.

    Parameters
    ----------
    runs : Result, str, or sequence of them
        Results, and ids of runs that are recorded in MLflow (a prefix, or `"last"`).
    metric : str
        Metric to rank by; `balanced/<metric>` is its mean over classes instead of queries.
    uri : str
        MLflow tracking URI of the recorded runs.

    Returns
    -------
    pandas.DataFrame
        Best first: method, scores with the 95% interval of `metric` (`low`, `high`), the mean
        `difference` to the best run on the same queries, its p-value by a paired permutation test
        at once for all runs and whichever is best (`p`), and `tied` if it is not significant;
        costs. `attrs` has the clusters of queries that are compared, as `cluster` and `clusters`,
        and the difference between the best run and the next that the queries can show, as
        `smallest_difference`; see `Board`.

    Raises
    ------
    BenchError
        If there are no runs, one is something else, does not exist, has no such metric, or is on
        another split.
    """
    if isinstance(runs, Result | str):
        runs = [runs]
    if others := [run for run in runs if not isinstance(run, Result | str)]:
        raise BenchError(
            f"{type(others[0]).__name__} cannot be compared: give results of run, and ids of "
            "recorded runs"
        )
    results = [run for run in runs if isinstance(run, Result)]
    plain = metric.removeprefix(BALANCED)
    recorded, values = _recorded([run for run in runs if isinstance(run, str)], plain, uri)
    rows = [*(_of_result(result, n) for n, result in enumerate(results)), *recorded]
    if not rows:
        raise BenchError("nothing to compare: give results or ids of recorded runs")
    for run in rows:
        if metric not in finite_metrics(run):
            known = ", ".join(name for name in finite_metrics(run) if is_score(name))
            raise BenchError(
                f"{run.info.run_name} has no metric {metric}; it has {known or 'none'}"
            )
    if len({split_fingerprint(run) for run in rows}) > 1:
        raise BenchError(
            "the runs are on different splits, so their figures cannot be compared: give the same "
            "data, seed and protocol"
        )
    for n, result in enumerate(results):
        if result.evaluation is not None and plain in result.evaluation.per_query:
            values[_key(n)] = _query_scores(result, plain, results[0].split.query)
    board = rank_runs(rows, PublishedFigures(), metric)
    if is_score(metric) and len(rows) > 1:
        board = add_significance(board, values, balanced=plain != metric)
        if board.not_compared:
            _log.warning("%s", board.not_compared)
    return _frame(board, metric)


def _frame(board: Board, metric: str) -> pd.DataFrame:
    """Return the columns of a board in full precision, a row per run, best first."""
    import pandas as pd

    rows = board.rows
    columns: dict[str, list[object]] = {}
    for column in select_columns(board, metric):
        if column.key == "interval":
            intervals = [row.interval(metric) or (None, None) for row in rows]
            columns["low"], columns["high"] = map(list, zip(*intervals, strict=True))
        elif column.key == "p":
            for name in ("difference", "p", "tied"):
                columns[name] = [getattr(row, name) for row in rows]
        elif column.key == "run":
            columns["run"] = [row.run_id for row in rows]
        else:
            columns[column.key] = [column.value(row) for row in rows]
    frame = pd.DataFrame(columns)
    if board.cluster:
        for name in ("cluster", "clusters", "smallest_difference"):
            frame.attrs[name] = getattr(board, name)
    return frame


def _of_result(result: Result, number: int) -> Run:
    """Return a result with the attributes of a run in MLflow that the leaderboard reads."""
    info = SimpleNamespace(
        run_id=_key(number), run_name=result.name, experiment_id="", start_time=0
    )
    tags = asdict(describe_method(result.config))
    tags |= {"data": result.split.name, "split_fingerprint": result.split.fingerprint}
    if result.evaluation is not None:
        tags |= {"evaluation": DEFINITIONS, "cluster": cluster_unit(result.evaluation)}
    params = flatten(to_mapping(result.config))
    data = SimpleNamespace(tags=tags, params=params, metrics=result.metrics)
    return cast("Run", SimpleNamespace(info=info, data=data))


def _key(number: int) -> str:
    return f"result {number + 1}"


def _query_scores(result: Result, metric: str, named: ImageSet) -> QueryScores:
    """Return the scores of the queries, with the names that the same contents have in `named`."""
    evaluation: Any = result.evaluation
    query, unit = result.split.query, cluster_unit(evaluation)
    clusters = cluster_texts(result.split, unit, evaluation.scored)
    labels: Any = query.labels
    name_of = dict(zip(named.digests, named.names, strict=True))
    names = [name_of[query.digests[row]] for row in evaluation.scored]
    order = sorted(range(len(names)), key=names.__getitem__)
    scores = np.asarray(evaluation.per_query[metric], np.float64)[order]
    return QueryScores(
        tuple(names[row] for row in order),
        scores,
        tuple(query.classes[labels[evaluation.scored[row]]] for row in order),
        tuple(clusters[row] for row in order),
    )


def _recorded(
    ids: Sequence[str], metric: str, uri: str
) -> tuple[list[Run], dict[str, QueryScores]]:
    if not ids:
        return [], {}
    from outliers_bench.tracking.lookup import check_store_exists, find_run
    from outliers_bench.tracking.store import open_client

    check_store_exists(uri)
    client = open_client(uri)
    runs = [with_current_names(find_run(client, run)) for run in ids]
    return runs, read_query_scores(client, runs, metric)
