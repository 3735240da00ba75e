"""The leaderboard as one self-contained HTML page."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path

from markupsafe import Markup

from outliers_bench.evaluation.metrics import is_score
from outliers_bench.evaluation.paired import ALPHA
from outliers_bench.leaderboard import provenance, sentences
from outliers_bench.leaderboard.boards import METHOD, Board, Row, short_labels
from outliers_bench.leaderboard.columns import select_columns
from outliers_bench.leaderboard.cost_plot import COSTS, HEIGHT, WIDTH, plot_cost
from outliers_bench.reports.html import load_template
from outliers_bench.reports.numbers import metric_title

HERE = Path(__file__).parent


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
    script = (HERE / "page.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return load_template(HERE).render(
        metric=metric,
        metric_title=metric_title,
        method_details=_method_details,
        ui=ui.rstrip("/"),
        width=WIDTH,
        height=HEIGHT,
        sections=[_section(board, metric) for board in boards],
        style=Markup((HERE / "page.css").read_text(encoding="utf-8")),  # noqa: S704 - our own
        script=Markup(script),  # noqa: S704 - our own
        script_digest=digest,
        alpha=ALPHA,
    )


def _section(board: Board, metric: str) -> dict[str, object]:
    """Return the variables of a board for the template."""
    # Intervals are below their scores, and the other parts of a method below its model.
    merged = {"interval", *METHOD} - {"model"}
    columns = select_columns(board, metric)
    accuracy = metric if is_score(metric) else "hit_at_1"
    plots = [plot_cost(board.measured_rows, metric=accuracy, cost=cost) for cost in COSTS]
    return {
        "board": board,
        "title": sentences.title(board),
        "best": sentences.best(board, metric),
        "columns": [column for column in columns if column.key not in merged],
        "name_key": "published" if board.table else "model",
        "notes": sentences.legend(board, [column.key for column in columns]),
        "accuracy": metric_title(accuracy),
        "plots": [plot for plot in plots if plot],
        "heat": class_scores(board),
        "command": sentences.repeat_command(board.measured_rows[0]) if board.measured_rows else "",
        "facts": [(name, values) for name, values in provenance.facts(board) if values],
        "warnings": provenance.warnings(board),
    }


def class_scores(
    board: Board,
) -> tuple[list[tuple[int | None, str]], list[tuple[str, int, list[float | None]]]]:
    """Return rank and label of methods; and name, queries and scores of classes, hardest first."""
    rows = {row.run_id: row for row in board.measured_rows if row.run_id in board.per_class}
    ranks = [row.rank for row in rows.values()]
    columns = [board.per_class[run_id] for run_id in rows]
    queries = {name: n for column in columns for name, (_, n) in column.items()}
    classes = []
    for name, n in queries.items():
        scores = [column[name][0] if name in column else None for column in columns]
        known = [score for score in scores if score is not None]
        classes.append((sum(known) / len(known), name, n, scores))
    classes.sort(key=lambda item: item[:2])
    labels = short_labels(list(rows.values()))
    return list(zip(ranks, labels, strict=True)), [item[1:] for item in classes]


def _method_details(row: Row) -> str:
    """Return the parts of the method other than its model."""
    parts = (row.method.get(name, "") for name in METHOD if name != "model")
    return " · ".join(part for part in parts if part not in ("", "none"))
