"""The leaderboard as one self-contained HTML page."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from outliers_bench.evaluation.metrics import is_score
from outliers_bench.evaluation.paired import ALPHA
from outliers_bench.leaderboard import pareto, provenance, sentences
from outliers_bench.leaderboard.boards import METHOD, Board, Row
from outliers_bench.leaderboard.columns import Column, select_columns
from outliers_bench.leaderboard.heatmap import HeatMap, build_heat_map
from outliers_bench.reports import numbers
from outliers_bench.reports.html import load_template

if TYPE_CHECKING:
    from markupsafe import Markup

HERE = Path(__file__).parent


@dataclass(frozen=True)
class _Cell:
    """Cell of a table; `value` is in full precision."""

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
    """Variables of a board for the template."""

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
    """Render the page.

    The page loads nothing: style, script and plots are inlined, and its content security policy
    allows nothing else. Each cell has its full value as `data-value`.

    Parameters
    ----------
    boards : sequence of Board
        From `read_boards`.
    metric : str
        Metric of the ranking.
    ui : str
        Address of the MLflow UI, for the links to runs.
    """
    from markupsafe import Markup

    script = (HERE / "page.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return load_template(HERE).render(
        heading=numbers.metric_title(metric),
        metric=metric,
        sections=[_section(board, metric, ui) for board in boards],
        style=Markup((HERE / "page.css").read_text(encoding="utf-8")),  # noqa: S704 - our own
        script=Markup(script),  # noqa: S704 - our own
        script_digest=digest,
        alpha=ALPHA,
    )


def _section(board: Board, metric: str, ui: str) -> _Section:
    from markupsafe import Markup

    # Intervals are below their scores, and the other parts of a method below its model.
    merged = {"interval", *METHOD} - {"model"}
    all_columns = select_columns(board, metric)
    shown = [column for column in all_columns if column.key not in merged]
    accuracy = metric if is_score(metric) else "hit_at_1"
    plots = [
        pareto.plot_cost(board.measured_rows, metric=accuracy, cost=cost) for cost in pareto.COSTS
    ]
    return _Section(
        board=board,
        title=sentences.title(board),
        best=sentences.best(board, metric),
        columns=shown,
        rows=[(row, [_cell(column, row, ui) for column in shown]) for row in board.rows],
        name_key="published" if board.table else "model",
        notes=sentences.legend(board, [column.key for column in all_columns]),
        accuracy=numbers.metric_title(accuracy),
        # The labels in them are escaped when they are drawn.
        plots=[Markup(svg) for svg in plots if svg],  # noqa: S704
        heat=build_heat_map(board),
        command=sentences.repeat_command(board.measured_rows[0]) if board.measured_rows else "",
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
        interval_text="" if interval is None else "–".join(map(numbers.format_score, interval)),
        link=_link(row, ui) if column.key == "run" and row.run_id else "",
        hint=hint,
        below=_method_details(row) if column.key == "model" else "",
    )


def _method_details(row: Row) -> str:
    """Return the parts of the method other than its model."""
    parts = {name: row.method.get(name, "") for name in METHOD if name != "model"}
    return " · ".join(part for part in parts.values() if part and part != "none")


def _link(row: Row, ui: str) -> str:
    return (
        f"{ui.rstrip('/')}/#/experiments/{quote(row.experiment_id, safe='')}"
        f"/runs/{quote(row.run_id, safe='')}"
    )
