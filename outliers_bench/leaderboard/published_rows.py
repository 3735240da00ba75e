"""Published figures: the runs they belong to, and the rows of a table without a run."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

from outliers_bench.leaderboard.boards import FINISHED, Board, Row, row_of
from outliers_bench.leaderboard.find_runs import run_identity

if TYPE_CHECKING:
    from mlflow.entities import Run

    from outliers_bench.config.published import Published

_TAG = "published."  # followed by a table; the value is the row
_MAX_REASON = 90  # characters of an error message


class PublishedFigures:
    """Published figures and the runs they belong to.

    Parameters
    ----------
    table : str or None
        The requested table; None uses the figures of any table that a run belongs to.

    Raises
    ------
    BenchError
        If there is no such table.
    """

    def __init__(self, table: str | None = None) -> None:
        from outliers_bench.config.published import read_table

        self.table = table
        self.rows = () if table is None else read_table(table)
        self._names: dict[str, dict[str, list[str]]] = {}  # of rows, by identity and table

    def add_runs(self, runs: Iterable[Run]) -> None:
        """Collect the rows that runs are tagged with.

        Runs with the same identity have the same figures, so the rows of one are rows of all.
        """
        for run in runs:
            for table, names in _tagged_rows(run).items():
                known = self._names.setdefault(run_identity(run), {}).setdefault(table, [])
                known += [name for name in names if name not in known]

    def includes(self, run: Run) -> bool:
        """Check whether a run, or another with its identity, belongs on the boards."""
        return self.table is None or self.table in self._names.get(run_identity(run), {})

    def own_rows(self, run: Run) -> list[str]:
        """Return the rows of the requested table that the run itself is tagged with."""
        return _tagged_rows(run).get(self.table or "", [])

    def of(self, run: Run) -> Sequence[Published | None]:
        """Return published figures of a run: of each of its rows in the requested table, or one."""
        names = self._names.get(run_identity(run), {})
        if self.table is not None:
            rows = {row.row: row for row in self.rows}
            return [rows.get(name) for name in names[self.table]]
        from outliers_bench.config.published import read_table, tables

        # The table of an older run may no longer be part of the package.
        for table in sorted(set(names) & set(tables())):
            for row in read_table(table):
                if row.row in names[table]:
                    return [row]
        return [None]


def _tagged_rows(run: Run) -> dict[str, list[str]]:
    return {
        tag.removeprefix(_TAG): value.split(",")
        for tag, value in run.data.tags.items()
        if tag.startswith(_TAG)
    }


def find_unmeasured(board: Board, runs: Sequence[Run], figures: PublishedFigures) -> list[Row]:
    """Return the rows of the table that were not measured on this board, in published order.

    A run that was refused before its data was loaded is on the boards of its experiment.

    Parameters
    ----------
    board : Board
        Board of the measured rows.
    runs : sequence of Run
        Runs without figures, newest first.
    figures : PublishedFigures
    """
    experiments = {row.experiment_id for row in board.rows} or {
        str(run.info.experiment_id) for run in runs if run.data.tags.get("data", "") == board.data
    }
    measured = {row.published.row for row in board.rows if row.published is not None}
    candidates = [run for run in runs if _is_on_board(run, board, experiments)]
    rows = []
    for published in figures.rows:
        if published.row not in measured:
            tagged = (run for run in candidates if published.row in figures.own_rows(run))
            rows.append(_row_without_figures(published, next(tagged, None)))
    return rows


def _is_on_board(run: Run, board: Board, experiments: Collection[str]) -> bool:
    tags = run.data.tags
    if "data" not in tags:
        return str(run.info.experiment_id) in experiments
    same_split = tags.get("split_fingerprint") in (None, "", board.fingerprint)
    return tags["data"] == board.data and (same_split or not board.fingerprint)


def _row_without_figures(published: Published, run: Run | None) -> Row:
    if run is None:
        return Row(status="not run", published=published)
    reason = " ".join(run.data.tags.get("failure", "").split())
    status = str(run.info.status)
    text = status.lower()
    if status == "FAILED" and reason.startswith("WeightsUnavailableError"):
        text = "weights not available"
    elif status == "FAILED":
        cause = reason.removeprefix("BenchError: ") or "unknown reason"
        text = f"failed: {cause[:_MAX_REASON]}{'…' if len(cause) > _MAX_REASON else ''}"
    elif status == "FINISHED":
        fingerprint = run.data.tags.get("split_fingerprint")
        missing = "the metric of the ranking" if fingerprint else "the fingerprint of its split"
        text = f"{FINISHED}, without {missing}"
    return row_of(run, status=text, reason=reason, published=published)
