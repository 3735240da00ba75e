"""A board as a table of pandas."""

from __future__ import annotations

from typing import TYPE_CHECKING

from outliers_bench.leaderboard.boards import Board
from outliers_bench.leaderboard.columns import select_columns

if TYPE_CHECKING:
    import pandas as pd


def board_frame(board: Board, metric: str) -> pd.DataFrame:
    """Return the columns of a board in full precision, a row per run, best first.

    The interval of the metric is in `low` and `high`. If runs were compared with the best,
    `difference` and `tied` follow their p-value `p`.

    Parameters
    ----------
    board : Board
    metric : str
        Metric of the ranking.

    Returns
    -------
    pandas.DataFrame
    """
    import pandas as pd

    rows = board.rows
    columns: dict[str, list[object]] = {}
    for column in select_columns(board, metric):
        if column.key == "interval":
            intervals = [row.interval(metric) or (None, None) for row in rows]
            columns["low"], columns["high"] = map(list, zip(*intervals, strict=True))
        elif column.key == "p":
            columns |= {name: [getattr(row, name) for row in rows] for name in _COMPARED}
        elif column.key == "run":
            columns["run"] = [row.run_id for row in rows]
        else:
            columns[column.key] = [column.value(row) for row in rows]
    return pd.DataFrame(columns)


_COMPARED = ("difference", "p", "tied")
