"""Boards as files: Markdown to be read, CSV in full precision, one HTML page."""

from __future__ import annotations

import csv
import html
import io
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from outliers_bench.errors import BenchError
from outliers_bench.leaderboard import provenance, sentences
from outliers_bench.leaderboard.boards import METHOD, SCORES, Board, Row
from outliers_bench.leaderboard.columns import LEAKS, columns
from outliers_bench.reports import numbers as readable
from outliers_bench.reports.markdown import table as markdown_table

FORMATS = ("terminal", "md", "csv", "html")
UI = "http://127.0.0.1:5000"  # where `make ui` serves
_NUMBERS = (
    "precision_at_5",
    "precision_at_10",
    "r_precision",
    "mrr",
    "dimensions",
    "images_per_second",
    "search_ms_per_query",
    "recall_at_10",
    "index_bytes",
    "index_build_seconds",
    "peak_memory_bytes",
)
_PUBLISHED = ("table", "row", "title", "top_1", "top_3", "top_5", "top_10", "note")


def check_formats(formats: Sequence[str]) -> None:
    """Refuse a format that there is not.

    Raises
    ------
    BenchError
        Naming it and those there are.
    """
    for name in formats:
        if name not in FORMATS:
            raise BenchError(f"no format {name}; there is {', '.join(FORMATS)}")


def check_ui(ui: str) -> None:
    """Refuse an address that no browser could open.

    Raises
    ------
    BenchError
        Naming it.
    """
    try:
        parts = urlsplit(ui)
        known = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:  # a bracket that is not closed
        known = False
    if not known:
        raise BenchError(f"ui={ui}: no web address; give one such as {UI}")


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
        Where to; exists.
    metric : str
        What the boards are ranked by.
    formats : sequence of str
        Which of them; `terminal` is no file.
    ui : str
        Address of the MLflow UI that links to runs lead to.

    Returns
    -------
    list of Path
        The files.

    Raises
    ------
    BenchError
        If there is no such format, `ui` is no web address, or a file cannot be written.
    """
    check_formats(formats)
    check_ui(ui)
    made: dict[str, Callable[[], str]] = {
        "md": lambda: _markdown(boards, metric),
        "csv": lambda: _csv(boards, metric),
        "html": lambda: _html(boards, metric, ui),
    }
    written = []
    for ending, text in made.items():
        if ending in formats:
            written.append(folder / f"leaderboard.{ending}")
            _write(written[-1], text())
    return written


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise BenchError(f"cannot write {path}: {error.strerror or error}") from error


def _html(boards: Sequence[Board], metric: str, ui: str) -> str:
    # Only here: the other formats need no Jinja2.
    from outliers_bench.leaderboard.page import render

    return render(boards, metric=metric, ui=ui)


def _markdown(boards: Sequence[Board], metric: str) -> str:
    parts = [f"# Leaderboard, by {readable.title(metric)}"]
    for board in boards:
        # The ranked metric's interval has a column of its own on the terminal; here every score
        # has its interval beside it.
        shown = [column for column in columns(board, metric) if column.key != "interval"]
        rows = []
        for row in board.rows:
            cells = []
            for column in shown:
                text, interval = column.text(row), column.interval(row)
                if interval is not None:
                    low, high = map(readable.score, interval)
                    text += f" ({low}–{high})"
                cells.append(_plain(text))
            rows.append(cells)
        parts += [f"## {_plain(sentences.title(board))}"]
        parts += [_plain(" ".join(sentences.best(board, metric)))]
        parts += [markdown_table([column.heading for column in shown], rows)]
        legend = sentences.legend(board, [column.key for column in columns(board, metric)])
        parts += map(_plain, legend.values())
        if board.measured:
            if command := sentences.command(board.measured[0]):
                parts += [f"The best again:\n\n{_fenced(command)}"]
            told = [f"{name}: {'; '.join(found)}" for name, found in provenance.facts(board)]
            parts += [_plain(f"{' · '.join(told)}")]
        parts += [f"**{_plain(line)}**" for line in provenance.warnings(board)]
    return "\n\n".join(parts) + "\n"


def _plain(text: str) -> str:
    """Text that Markdown shows as it is: names are the user's, and may look like anything."""
    # Within a word an underscore says nothing, and transfer_mobilenet is to be found as it is.
    escaped = re.sub(r"[\\`*\[\]~]|(?<![^\W_])_|_(?![^\W_])", r"\\\g<0>", " ".join(text.split()))
    return html.escape(escaped, quote=False)


def _fenced(text: str) -> str:
    """Text as a block of code, between fences that do not occur in it."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text}\n{fence}"


def _csv(boards: Sequence[Board], metric: str) -> str:
    scores = list(dict.fromkeys((metric, *SCORES)))
    beside = [
        name
        for name in (f"{leaks}/{score}" for leaks in LEAKS for score in scores)
        if any(name in row.metrics for board in boards for row in board.rows)
    ]
    numbers = list(dict.fromkeys((*scores, *beside, *_NUMBERS)))
    intervals = [
        name
        for name in numbers
        if any(row.interval(name) for board in boards for row in board.rows)
    ]
    ends = [f"ci95/{name}_{end}" for name in intervals for end in ("low", "high")]
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(
        ["data", "split_fingerprint", "rank", "run", *METHOD, "status", "reason"]
        + [*numbers, *ends, "difference", "p", "tied"]
        + [f"published_{name}" for name in _PUBLISHED]
        + ["run_id"]
    )
    for board in boards:
        for row in board.rows:
            writer.writerow(
                [board.data, board.fingerprint, _blank(row.rank), row.name]
                + [row.method.get(name, "") for name in METHOD]
                + [row.status, row.reason]
                + [_blank(row.metrics.get(name)) for name in (*numbers, *ends)]
                + [_blank(row.difference), _blank(row.p), _blank(row.tied)]
                + _published(row)
                + [row.run_id]
            )
    return text.getvalue()


def _blank(value: object) -> object:
    return "" if value is None else value


def _published(row: Row) -> list[object]:
    if row.published is None:
        return [""] * len(_PUBLISHED)
    return [_blank(getattr(row.published, name)) for name in _PUBLISHED]
