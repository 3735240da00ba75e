"""Significance of the differences to the best run of a board, on the same queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from outliers_bench.leaderboard.boards import Row

if TYPE_CHECKING:
    from outliers_bench.leaderboard.artifacts import QueryScores


def add_significance(
    rows: Sequence[Row], values: Mapping[str, QueryScores]
) -> tuple[list[Row], str]:
    """Compare each run with the first, query by query.

    Parameters
    ----------
    rows : sequence of Row
        Measured rows, the best first.
    values : mapping of str to Scores
        Scores of the queries by run id; see `artifacts.per_query`.

    Returns
    -------
    rows : list of Row
        The same rows, with `difference`, `p` and `tied` if the run was compared.
    not_compared : str
        Reason why runs were not compared; empty if all were.
    """
    import numpy as np

    from outliers_bench.evaluation.paired import compare_with_best

    # A file with NaN is from a run in which something went wrong.
    values = {
        run_id: scores for run_id, scores in values.items() if np.isfinite(scores.values).all()
    }
    best = values.get(rows[0].run_id)
    if best is None:
        return list(rows), "Nothing was compared: the best run has no figures per query."
    if not best.names:
        return list(rows), "Nothing was compared: no query was scored."
    # A run in two rows of a table is a single run in the test.
    with_scores = list(dict.fromkeys(row.run_id for row in rows if row.run_id in values))
    same_queries = [run_id for run_id in with_scores if values[run_id].names == best.names]
    result = compare_with_best(np.stack([values[run_id].values for run_id in same_queries]), 0)
    compared: dict[str, dict[str, Any]] = {
        run_id: {
            "difference": float(result.difference[i]),
            "p": float(result.adjusted[i]),
            "p_at_most": bool(result.at_most[i]),
            "tied": bool(result.tied[i]),
        }
        for i, run_id in enumerate(same_queries)
    }
    ids = {row.run_id for row in rows}
    reasons = [
        (len(with_scores) - len(same_queries), "other queries than the best run"),
        (len(ids) - len(with_scores), "no figures per query"),
    ]
    text = ", ".join(f"{n} with {reason}" for n, reason in reasons if n)
    rows = [replace(row, **compared.get(row.run_id, {})) for row in rows]
    return rows, f"Not compared with the best: {text}." if text else ""
