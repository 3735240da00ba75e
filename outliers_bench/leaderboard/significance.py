"""Which runs of a board can be told from its best one, on the same queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from outliers_bench.leaderboard.boards import Row

if TYPE_CHECKING:
    from outliers_bench.leaderboard.artifacts import Scores


def with_significance(rows: Sequence[Row], values: Mapping[str, Scores]) -> tuple[list[Row], str]:
    """Compare every run with the first, query by query.

    Parameters
    ----------
    rows : sequence of Row
        Measured ones, the best first.
    values : mapping of str to Scores
        By run id, what each query scored; see `artifacts.per_query`.

    Returns
    -------
    rows : list of Row
        The same with `difference`, `p` and `tied` where the run was compared.
    not_compared : str
        Which were not, and why; empty if all were.
    """
    import numpy as np

    from outliers_bench.evaluation.paired import compare_with_best

    # NaN stands in a run's file where something went wrong with it.
    values = {run_id: told for run_id, told in values.items() if np.isfinite(told.values).all()}
    best = values.get(rows[0].run_id)
    if best is None:
        return list(rows), "Nothing was compared: the best run has no figures query by query."
    if not best.names:
        return list(rows), "Nothing was compared: no query was scored."
    # A run may stand in two rows of a table; it is one run to the test.
    asked = list(dict.fromkeys(row.run_id for row in rows if row.run_id in values))
    alike = [run_id for run_id in asked if values[run_id].names == best.names]
    found = compare_with_best(np.stack([values[run_id].values for run_id in alike]), 0)
    at = {run_id: position for position, run_id in enumerate(alike)}
    compared = [
        row
        if row.run_id not in at
        else replace(
            row,
            difference=float(found.difference[at[row.run_id]]),
            p=float(found.adjusted[at[row.run_id]]),
            p_at_most=bool(found.at_most[at[row.run_id]]),
            tied=bool(found.tied[at[row.run_id]]),
        )
        for row in rows
    ]
    ids = {row.run_id for row in rows}
    reasons = [
        (len(asked) - len(alike), "other queries than the best run"),
        (len(ids) - len(asked), "no figures query by query"),
    ]
    told = ", ".join(f"{n} with {why}" for n, why in reasons if n)
    return compared, f"Not compared with the best: {told}." if told else ""
