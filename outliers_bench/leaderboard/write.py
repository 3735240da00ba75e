"""Boards as files: Markdown, CSV in full precision, and an HTML page."""

from __future__ import annotations

import html
import io
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from outliers_bench.errors import BenchError
from outliers_bench.leaderboard import provenance, sentences
from outliers_bench.leaderboard.boards import METHOD, SCORES, Board
from outliers_bench.leaderboard.columns import LEAKAGE_SCORES, select_columns
from outliers_bench.leaderboard.page import render
from outliers_bench.reports import numbers
from outliers_bench.reports.markdown import table as markdown_table
from outliers_bench.runtime.visible_text import write_csv

FORMATS = ("terminal", "md", "csv", "html")
UI = "http://127.0.0.1:5000"  # where `make ui` serves
_NUMBERS = (
    "precision_at_5",
    "precision_at_10",
    "r_precision",
    "map",
    "mrr",
    "minp",
    "dimensions",
    "images_per_second",
    "search_ms_per_query",
    "recall_at_10",
    "index_bytes",
    "index_build_seconds",
    "peak_memory_bytes",
)
_WORTH = ("balanced", "chance", "design_effect", "smallest_difference")
_PUBLISHED = ("table", "row", "title", "top_1", "top_3", "top_5", "top_10", "note")


def write_boards(
    boards: Sequence[Board],
    folder: Path,
    *,
    metric: str,
    formats: Sequence[str] = FORMATS,
    ui: str = UI,
) -> list[Path]:
    """Write `leaderboard.md`, `leaderboard.csv` and `leaderboard.html`.

    Parameters
    ----------
    boards : sequence of Board
        From `read_boards`.
    folder : Path
        Existing folder to write to.
    metric : str
        Metric of the ranking.
    formats : sequence of str
        Formats to write; `terminal` is ignored.
    ui : str
        Address of the MLflow UI, for the links to runs.

    Returns
    -------
    list of Path
        Paths of the files.

    Raises
    ------
    BenchError
        If a file cannot be written.
    """
    writers: dict[str, Callable[[], str]] = {
        "md": lambda: _markdown(boards, metric),
        "csv": lambda: _csv(boards, metric),
        "html": lambda: render(boards, metric=metric, ui=ui),
    }
    paths = []
    for suffix, text in writers.items():
        if suffix in formats:
            path = folder / f"leaderboard.{suffix}"
            try:
                path.write_text(text(), encoding="utf-8", newline="")
            except OSError as error:
                raise BenchError(f"cannot write {path}: {error.strerror or error}") from error
            paths.append(path)
    return paths


def _markdown(boards: Sequence[Board], metric: str) -> str:
    parts = [f"# Leaderboard, by {numbers.metric_title(metric)}"]
    for board in boards:
        # On the terminal the interval of the ranked metric has its own column; here each score is
        # followed by its interval.
        shown = [column for column in select_columns(board, metric) if column.key != "interval"]
        rows = []
        for row in board.rows:
            cells = []
            for column in shown:
                text, interval = column.text(row), column.interval(row)
                if interval is not None:
                    low, high = map(numbers.format_score, interval)
                    text += f" ({low}–{high})"
                cells.append(_escape_markdown(text))
            rows.append(cells)
        parts += [f"## {_escape_markdown(sentences.title(board))}"]
        parts += [_escape_markdown(" ".join(sentences.best(board, metric)))]
        parts += [markdown_table([column.heading for column in shown], rows)]
        legend = sentences.legend(board, [column.key for column in select_columns(board, metric)])
        parts += map(_escape_markdown, legend.values())
        if board.measured_rows:
            if command := sentences.repeat_command(board.measured_rows[0]):
                parts += [f"Repeat the best run:\n\n{_fenced(command)}"]
            facts = [f"{name}: {'; '.join(values)}" for name, values in provenance.facts(board)]
            parts += [_escape_markdown(" · ".join(facts))]
        parts += [f"**{_escape_markdown(line)}**" for line in provenance.warnings(board)]
    return "\n\n".join(parts) + "\n"


def _escape_markdown(text: str) -> str:
    """Escape text for Markdown, as names of users may have any characters."""
    # An underscore within a word is no markup, and names should be searchable.
    escaped = re.sub(r"[\\`*\[\]~]|(?<![^\W_])_|_(?![^\W_])", r"\\\g<0>", " ".join(text.split()))
    return html.escape(escaped, quote=False)


def _fenced(text: str) -> str:
    """Return text as a code block, with a fence that does not occur in it."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text}\n{fence}"


def _csv(boards: Sequence[Board], metric: str) -> str:
    scores = list(dict.fromkeys((metric, *SCORES)))
    rescored = [
        name
        for name in (f"{prefix}/{score}" for prefix in LEAKAGE_SCORES for score in scores)
        if any(name in row.metrics for board in boards for row in board.rows)
    ]
    metrics = list(dict.fromkeys((*scores, *rescored, *_NUMBERS)))
    intervals = [
        name
        for name in metrics
        if any(row.interval(name) for board in boards for row in board.rows)
    ]
    metrics += [f"ci95/{name}_{end}" for name in intervals for end in ("low", "high")]
    metrics += [
        name
        for name in (f"{prefix}/{score}" for score in scores for prefix in _WORTH)
        if any(name in row.metrics for board in boards for row in board.rows)
    ]
    text = io.StringIO(newline="")
    header = [
        *("data", "split_fingerprint", "rank", "run", *METHOD, "status", "reason", *metrics),
        *("difference", "p", "tied", "cluster", "clusters", "compared_over"),
        *(f"published_{name}" for name in _PUBLISHED),
        "run_id",
    ]
    lines: list[list[object]] = [[*header]]
    for board in boards:
        compared_over = f"{board.clusters} by {board.cluster}" if board.cluster else None
        lines += [
            [board.data, board.fingerprint, row.rank, row.name]
            + [row.method.get(name) for name in METHOD]
            + [row.status, row.reason]
            + [row.metrics.get(name) for name in metrics]
            + [row.difference, row.p, row.tied]
            + [row.tags.get("cluster"), row.metrics.get("clusters"), compared_over]
            + [getattr(row.published, name, None) for name in _PUBLISHED]
            + [row.run_id]
            for row in board.rows
        ]
    write_csv(text, lines)
    return text.getvalue()
