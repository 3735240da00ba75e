"""The leaderboard as one self-contained HTML page."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from outliers_bench.evaluation.metric_names import is_score
from outliers_bench.evaluation.paired import ALPHA
from outliers_bench.leaderboard import pareto, provenance, sentences
from outliers_bench.leaderboard.boards import METHOD, Board, Row
from outliers_bench.leaderboard.columns import Column, columns
from outliers_bench.leaderboard.heatmap import HeatMap, heat_map
from outliers_bench.reports import numbers as readable
from outliers_bench.reports.html import template

if TYPE_CHECKING:
    from markupsafe import Markup

HERE = Path(__file__).parent


@dataclass(frozen=True)
class _Cell:
    """What stands in a cell, in full precision where it is a number."""

    key: str
    text: str
    value: float | str | None
    numeric: bool
    interval: tuple[float, float] | None
    interval_text: str
    link: str
    hint: str
    below: str


@dataclass(frozen=True)
class _Section:
    """A board as the template takes it."""

    board: Board
    title: str
    best: list[str]
    columns: list[Column]
    rows: list[tuple[Row, list[_Cell]]]
    name_key: str
    notes: dict[str, str]
    accuracy: str
    plots: list[Markup]
    heat: HeatMap | None
    command: str
    facts: list[tuple[str, list[str]]]
    warnings: list[str]


def render(boards: Sequence[Board], *, metric: str, ui: str) -> str:
    """Write the page.

    Nothing in it is loaded from anywhere: style, script and drawings are part of it, and its
    content security policy admits nothing else. Numbers are those of the boards; each cell carries
    the full value as `data-value`.

    Parameters
    ----------
    boards : sequence of Board
        From `read_boards`.
    metric : str
        What they are ranked by.
    ui : str
        Address of the MLflow UI, for the links to runs.
    """
    from markupsafe import Markup

    script = (HERE / "page.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return template(HERE).render(
        heading=readable.title(metric),
        metric=metric,
        sections=[_section(board, metric, ui) for board in boards],
        style=Markup((HERE / "page.css").read_text(encoding="utf-8")),  # noqa: S704 - our own
        script=Markup(script),  # noqa: S704 - our own
        script_digest=digest,
        alpha=ALPHA,
    )


def _section(board: Board, metric: str, ui: str) -> _Section:
    from markupsafe import Markup

    # Intervals stand below their scores, and a method's parts below its model.
    inside = {"interval", *METHOD} - {"model"}
    every = columns(board, metric)
    shown = [column for column in every if column.key not in inside]
    accuracy = metric if is_score(metric) else "hit_at_1"
    drawn = [pareto.plot(board.measured, metric=accuracy, cost=cost) for cost in pareto.COSTS]
    return _Section(
        board=board,
        title=sentences.title(board),
        best=sentences.best(board, metric),
        columns=shown,
        rows=[(row, [_cell(column, row, ui) for column in shown]) for row in board.rows],
        name_key="published" if board.table else "model",
        notes=sentences.legend(board, [column.key for column in every]),
        accuracy=readable.title(accuracy),
        # Escaped where they are drawn: names stand in them.
        plots=[Markup(svg) for svg in drawn if svg],  # noqa: S704
        heat=heat_map(board),
        command=sentences.command(board.measured[0]) if board.measured else "",
        facts=[(name, values) for name, values in provenance.facts(board) if values],
        warnings=provenance.warnings(board),
    )


def _cell(column: Column, row: Row, ui: str) -> _Cell:
    interval = column.interval(row)
    hint = ""
    if column.key == "status":
        hint = row.reason
    elif column.key == "published" and row.published is not None:
        hint = row.published.note or ""
    return _Cell(
        key=column.key,
        text=str(row.rank or "") if column.key == "rank" else column.text(row),
        value=column.value(row),
        numeric=column.numeric,
        interval=interval,
        interval_text="" if interval is None else "–".join(map(readable.score, interval)),
        link=_link(row, ui) if column.key == "run" and row.run_id else "",
        hint=hint,
        below=_parts(row) if column.key == "model" else "",
    )


def _parts(row: Row) -> str:
    """What else the method is, besides its model."""
    parts = {name: row.method.get(name, "") for name in METHOD if name != "model"}
    return " · ".join(part for part in parts.values() if part and part != "none")


def _link(row: Row, ui: str) -> str:
    return (
        f"{ui.rstrip('/')}/#/experiments/{quote(row.experiment_id, safe='')}"
        f"/runs/{quote(row.run_id, safe='')}"
    )
