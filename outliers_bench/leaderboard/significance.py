"""Significance of the differences to the best run of a board, on the same queries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from outliers_bench.leaderboard.boards import Board

if TYPE_CHECKING:
    from outliers_bench.leaderboard.artifacts import QueryScores


def add_significance(board: Board, values: Mapping[str, QueryScores]) -> Board:
    """Compare each run of a board with the best, query by query.

    Parameters
    ----------
    board : Board
        Board of measured rows.
    values : mapping of str to QueryScores
        Scores of the queries by run id.

    Returns
    -------
    Board
        Its rows have `difference`, `p` and `tied` if the run was compared.
    """
    import numpy as np

    from outliers_bench.evaluation.paired import compare_with_best

    # A file with NaN is from a run in which something went wrong.
    values = {
        run_id: scores for run_id, scores in values.items() if np.isfinite(scores.values).all()
    }
    best = values.get(board.rows[0].run_id)
    if best is None or not best.names:
        reason = "the best run has no figures per query" if best is None else "no query was scored"
        return replace(board, not_compared=f"Nothing was compared: {reason}.")
    # A run in two rows of a table is a single run in the test.
    with_scores = list(dict.fromkeys(row.run_id for row in board.rows if row.run_id in values))
    same_queries = [run_id for run_id in with_scores if values[run_id].names == best.names]
    result = compare_with_best(np.stack([values[run_id].values for run_id in same_queries]))
    compared: dict[str, dict[str, Any]] = {
        run_id: {
            "difference": float(result.difference[i]),
            "p": float(result.adjusted[i]),
            "p_at_most": bool(result.at_most[i]),
            "tied": bool(result.tied[i]),
        }
        for i, run_id in enumerate(same_queries)
    }
    ids = {row.run_id for row in board.rows}
    reasons = [
        (len(with_scores) - len(same_queries), "other queries than the best run"),
        (len(ids) - len(with_scores), "no figures per query"),
    ]
    text = ", ".join(f"{n} with {reason}" for n, reason in reasons if n)
    return replace(
        board,
        rows=tuple(replace(row, **compared.get(row.run_id, {})) for row in board.rows),
        not_compared=f"Not compared with the best: {text}." if text else "",
    )
