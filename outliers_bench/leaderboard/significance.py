"""Significance of the differences to the best run of a board, on the same queries."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from outliers_bench.leaderboard.boards import Board

if TYPE_CHECKING:
    from outliers_bench.leaderboard.artifacts import QueryScores
    from outliers_bench.types import IntArray


def add_significance(
    board: Board, values: Mapping[str, QueryScores], *, balanced: bool = False
) -> Board:
    """Compare each run of a board with the best, query by query.

    Whole clusters are resampled. As clusters depend on the options of a run, those of the run
    with the fewest are used for all: the queries are the same, and fewer clusters claim less.

    Parameters
    ----------
    board : Board
        Board of measured rows.
    values : mapping of str to QueryScores
        Scores of the queries by run id.
    balanced : bool
        Compare means over classes instead of queries.

    Returns
    -------
    Board
        Its rows have `difference`, `p` and `tied` if the run was compared.
    """
    import numpy as np

    from outliers_bench.evaluation.clusters import smallest_difference
    from outliers_bench.evaluation.paired import compare_with_best
    from outliers_bench.evaluation.statistics import class_weights

    # A file with NaN is from a run in which something went wrong.
    values = {
        run_id: scores for run_id, scores in values.items() if np.isfinite(scores.values).all()
    }
    best = values.get(board.rows[0].run_id)
    if best is None or not best.names:
        reason = "the best run has no figures per query" if best is None else "no query was scored"
        return replace(board, not_compared=f"Nothing was compared: {reason}.")
    weights = None
    if balanced:
        if best.classes is None:
            return replace(board, not_compared="Nothing was compared: no classes were recorded.")
        weights = class_weights(np.unique(best.classes, return_inverse=True)[1])
    # A run in two rows of a table is a single run in the test.
    with_scores = list(dict.fromkeys(row.run_id for row in board.rows if row.run_id in values))
    same_queries = [run_id for run_id in with_scores if values[run_id].names == best.names]
    unit_of = {row.run_id: row.tags.get("cluster", "") for row in board.rows}
    unit, ids = _coarsest((unit_of[run_id], values[run_id]) for run_id in same_queries)
    matrix = np.stack([values[run_id].values for run_id in same_queries])
    result = compare_with_best(matrix, clusters=ids, weights=weights)
    compared: dict[str, dict[str, Any]] = {
        run_id: {
            "difference": float(result.difference[i]),
            "p": float(result.adjusted[i]),
            "p_at_most": bool(result.at_most[i]),
            "tied": bool(result.tied[i]),
        }
        for i, run_id in enumerate(same_queries)
    }
    following = next((other for other in matrix[1:] if (other != matrix[0]).any()), matrix[0])
    shown = smallest_difference(matrix[0], following, clusters=ids, weights=weights)
    ids_of_rows = {row.run_id for row in board.rows}
    reasons = [
        (len(with_scores) - len(same_queries), "other queries than the best run"),
        (len(ids_of_rows) - len(with_scores), "no figures per query"),
    ]
    text = ", ".join(f"{n} with {reason}" for n, reason in reasons if n)
    return replace(
        board,
        rows=tuple(replace(row, **compared.get(row.run_id, {})) for row in board.rows),
        not_compared=f"Not compared with the best: {text}." if text else "",
        cluster=unit,
        clusters=len(best.names) if ids is None else int(ids.max()) + 1,
        smallest_difference=None if math.isnan(shown) else shown,
    )


def _coarsest(runs: Iterable[tuple[str, QueryScores]]) -> tuple[str, IntArray | None]:
    """Return unit and clusters of the run with the fewest; queries if none recorded clusters."""
    from outliers_bench.evaluation.choose_clusters import QUERY, number_clusters

    found: dict[tuple[str, ...], tuple[str, IntArray]] = {}
    for unit, scores in runs:
        if unit and scores.clusters and scores.clusters not in found:
            found[scores.clusters] = unit, number_clusters(scores.clusters)
    if not found:
        return QUERY, None
    unit, ids = min(found.values(), key=lambda each: int(each[1].max()))
    return (unit, None) if unit == QUERY else (unit, ids)
