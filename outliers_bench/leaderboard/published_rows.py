"""Published figures: the runs they belong to, and the rows of a table without a run."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TYPE_CHECKING

from outliers_bench.errors import BenchError
from outliers_bench.leaderboard.boards import FINISHED, Board, Row, method_from_tags

if TYPE_CHECKING:
    from mlflow.entities import Run

    from outliers_bench.config.published import Published

PUBLISHED_TAG = "published."  # followed by a table; the value is the row
NO_WEIGHTS = "weights not available"
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

    def __init__(self, table: str | None) -> None:
        self.table = table
        self._rows_of: dict[str, tuple[Published, ...]] = {}
        self._row_names: dict[str, dict[str, list[str]]] = {}  # row names by identity and table
        if table is not None:
            from outliers_bench.config.published import read_table, tables

            if table not in tables():
                raise BenchError(f"no published table {table}; available: {', '.join(tables())}")
            self._rows_of[table] = read_table(table)

    @property
    def rows(self) -> tuple[Published, ...]:
        """All rows of the requested table."""
        return self._rows_of.get(self.table or "", ())

    def add_runs(self, runs: Iterable[Run], identity: Callable[[Run], str]) -> None:
        """Collect the rows that runs are tagged with.

        Runs with the same identity have the same figures, so the rows of one are rows of all.
        """
        for run in runs:
            for table, names in _tagged_rows(run).items():
                rows = self._row_names.setdefault(identity(run), {}).setdefault(table, [])
                rows += [name for name in names if name not in rows]

    def includes(self, identity: str) -> bool:
        """Check whether a run of this identity belongs on the boards."""
        return self.table is None or self.table in self._row_names.get(identity, {})

    def has_row_of(self, run: Run) -> bool:
        """Check whether the run itself is tagged with a row of the requested table."""
        return self.table is not None and self.table in _tagged_rows(run)

    def row_names(self, run: Run) -> list[str]:
        """Return the rows of the requested table that the run itself is tagged with."""
        return _tagged_rows(run).get(self.table or "", [])

    def of_identity(self, identity: str) -> list[Published | None]:
        """Return published figures of a run: of each of its rows in the requested table, or one."""
        row_names = self._row_names.get(identity, {})
        if self.table is not None:
            rows = {row.row: row for row in self.rows}
            return [rows.get(name) for name in row_names.get(self.table, [])]
        for table, names in sorted(row_names.items()):
            for row in self._read_table(table):
                if row.row in names:
                    return [row]
        return [None]

    def _read_table(self, table: str) -> tuple[Published, ...]:
        if table not in self._rows_of:
            from outliers_bench.config.published import read_table, tables

            # The table of an older run may no longer be part of the package.
            self._rows_of[table] = read_table(table) if table in tables() else ()
        return self._rows_of[table]


def _tagged_rows(run: Run) -> dict[str, list[str]]:
    return {
        tag.removeprefix(PUBLISHED_TAG): value.split(",")
        for tag, value in run.data.tags.items()
        if tag.startswith(PUBLISHED_TAG)
    }


def find_unmeasured(
    board: Board, runs: Sequence[Run], figures: PublishedFigures, *, experiments: Collection[str]
) -> list[Row]:
    """Return the rows of the table that were not measured on this board, in published order.

    Parameters
    ----------
    board : Board
        Board of the measured rows.
    runs : sequence of Run
        Runs of the table without figures, newest first.
    figures : Figures
        Published figures.
    experiments : collection of str
        Ids of the experiments of the board's runs; a run that was refused before its data was
        loaded counts if it is in one of them.
    """
    measured = {row.published.row for row in board.rows if row.published is not None}
    candidates = [run for run in runs if _is_on_board(run, board, experiments)]
    rows = []
    for published in figures.rows:
        if published.row in measured:
            continue
        run = next((run for run in candidates if published.row in figures.row_names(run)), None)
        rows.append(_row_without_run(published) if run is None else _row_of(run, published))
    return rows


def _is_on_board(run: Run, board: Board, experiments: Collection[str]) -> bool:
    tags = run.data.tags
    if "data" not in tags:
        return run.info.experiment_id in experiments
    same_split = tags.get("split_fingerprint") in (None, "", board.fingerprint)
    return tags["data"] == board.data and (same_split or not board.fingerprint)


def _row_without_run(published: Published) -> Row:
    return Row(None, "", "", "", method_from_tags({}), {}, status="not run", published=published)


def _row_of(run: Run, published: Published) -> Row:
    status, reason = _describe_status(run)
    return Row(
        rank=None,
        name=run.info.run_name or run.info.run_id,
        run_id=run.info.run_id,
        fingerprint=run.data.tags.get("split_fingerprint", ""),
        method=method_from_tags(run.data.tags),
        metrics={},
        experiment_id=str(run.info.experiment_id),
        tags=dict(run.data.tags),
        started=int(run.info.start_time or 0),
        status=status,
        reason=reason,
        published=published,
    )


def _describe_status(run: Run) -> tuple[str, str]:
    """Return a short reason why a run has no figures, and its full error message."""
    reason = " ".join(run.data.tags.get("failure", "").split())
    status = str(run.info.status)
    if status == "FAILED" and reason.startswith("WeightsUnavailableError"):
        return NO_WEIGHTS, reason
    if status == "FAILED":
        text = reason.removeprefix("BenchError: ") or "unknown reason"
        return f"failed: {text[:_MAX_REASON]}{'…' if len(text) > _MAX_REASON else ''}", reason
    if status == "FINISHED":
        fingerprint = run.data.tags.get("split_fingerprint")
        missing = "the metric of the ranking" if fingerprint else "the fingerprint of its split"
        return f"{FINISHED}, without {missing}", reason
    return status.lower(), reason
