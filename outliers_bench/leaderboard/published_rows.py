"""Published figures: which runs they belong to, and the rows of a table that have no run."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TYPE_CHECKING

from outliers_bench.errors import BenchError
from outliers_bench.leaderboard.boards import FINISHED, Board, Row, method_of

if TYPE_CHECKING:
    from mlflow.entities import Run

    from outliers_bench.config.published import Published

PUBLISHED_TAG = "published."  # and a table; its value is the row
NO_WEIGHTS = "weights not available"
_REASON = 90  # characters of why a run failed


class Figures:
    """What was published, and which runs it belongs to.

    Parameters
    ----------
    table : str or None
        The table that was asked for; None takes figures from wherever a run has them.

    Raises
    ------
    BenchError
        If there is no such table.
    """

    def __init__(self, table: str | None) -> None:
        self.table = table
        self._rows_of: dict[str, tuple[Published, ...]] = {}
        self._named: dict[str, dict[str, list[str]]] = {}  # identity, table: names of rows
        if table is not None:
            from outliers_bench.config.published import read_table, tables

            if table not in tables():
                raise BenchError(f"no published table {table}; there is {', '.join(tables())}")
            self._rows_of[table] = read_table(table)

    @property
    def rows(self) -> tuple[Published, ...]:
        """All rows of the table that was asked for, as published."""
        return self._rows_of.get(self.table or "", ())

    def learn(self, runs: Iterable[Run], identity: Callable[[Run], str]) -> None:
        """Note which rows runs say they are.

        What an older run of the same identity was started as, the newest is too: its figures are
        the same.
        """
        for run in runs:
            for table, names in _named(run).items():
                known = self._named.setdefault(identity(run), {}).setdefault(table, [])
                known += [name for name in names if name not in known]

    def wants(self, identity: str) -> bool:
        """Whether a run of that identity belongs on the boards."""
        return self.table is None or self.table in self._named.get(identity, {})

    def wants_tagged(self, run: Run) -> bool:
        """Whether this very run says that it is a row of the table that was asked for."""
        return self.table is not None and self.table in _named(run)

    def row_names(self, run: Run) -> list[str]:
        """Which rows of the table that was asked for this very run says it is."""
        return _named(run).get(self.table or "", [])

    def of(self, identity: str) -> list[Published | None]:
        """The published figures of a run: one for each row of the table asked for, else one."""
        named = self._named.get(identity, {})
        if self.table is not None:
            rows = {row.row: row for row in self.rows}
            return [rows.get(name) for name in named.get(self.table, [])]
        for table, names in sorted(named.items()):
            for row in self._known(table):
                if row.row in names:
                    return [row]
        return [None]

    def _known(self, table: str) -> tuple[Published, ...]:
        if table not in self._rows_of:
            from outliers_bench.config.published import read_table, tables

            # A run may be a row of a table that this version of the package no longer has.
            self._rows_of[table] = read_table(table) if table in tables() else ()
        return self._rows_of[table]


def _named(run: Run) -> dict[str, list[str]]:
    return {
        tag.removeprefix(PUBLISHED_TAG): value.split(",")
        for tag, value in run.data.tags.items()
        if tag.startswith(PUBLISHED_TAG)
    }


def unmeasured(
    board: Board, runs: Sequence[Run], figures: Figures, *, places: Collection[str]
) -> list[Row]:
    """The rows of the table without a figure on this board, in the published order.

    Parameters
    ----------
    board : Board
        With what was measured.
    runs : sequence of Run
        Runs of the table without a figure, newest first.
    figures : Figures
        What was published.
    places : collection of str
        Experiments of the board's runs; a run that was refused before its data was known counts
        where it stands in one of them.
    """
    there = {row.published.row for row in board.rows if row.published is not None}
    here = [run for run in runs if _belongs(run, board, places)]
    made = []
    for published in figures.rows:
        if published.row in there:
            continue
        run = next((run for run in here if published.row in figures.row_names(run)), None)
        made.append(_without_run(published) if run is None else _of(run, published))
    return made


def _belongs(run: Run, board: Board, places: Collection[str]) -> bool:
    tags = run.data.tags
    if "data" not in tags:
        return run.info.experiment_id in places
    alike = tags.get("split_fingerprint") in (None, "", board.fingerprint)
    return tags["data"] == board.data and (alike or not board.fingerprint)


def _without_run(published: Published) -> Row:
    return Row(None, "", "", "", method_of({}), {}, status="not run", published=published)


def _of(run: Run, published: Published) -> Row:
    status, reason = _status(run)
    return Row(
        rank=None,
        name=run.info.run_name or run.info.run_id,
        run_id=run.info.run_id,
        fingerprint=run.data.tags.get("split_fingerprint", ""),
        method=method_of(run.data.tags),
        metrics={},
        experiment_id=str(run.info.experiment_id),
        tags=dict(run.data.tags),
        started=int(run.info.start_time or 0),
        status=status,
        reason=reason,
        published=published,
    )


def _status(run: Run) -> tuple[str, str]:
    reason = " ".join(run.data.tags.get("failure", "").split())
    status = str(run.info.status)
    if status == "FAILED" and reason.startswith("WeightsUnavailableError"):
        return NO_WEIGHTS, reason
    if status == "FAILED":
        told = reason.removeprefix("BenchError: ") or "for no reason it could tell"
        return f"failed: {told[:_REASON]}{'…' if len(told) > _REASON else ''}", reason
    if status == "FINISHED":
        known = run.data.tags.get("split_fingerprint")
        missing = "the metric ranked by" if known else "the fingerprint of its split"
        return f"{FINISHED}, without {missing}", reason
    return status.lower(), reason
