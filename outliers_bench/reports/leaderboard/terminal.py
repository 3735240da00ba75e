"""Boards on a terminal, whatever its width."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from outliers_bench.reports.leaderboard import words
from outliers_bench.reports.leaderboard.boards import Board
from outliers_bench.reports.leaderboard.columns import Column, columns

if TYPE_CHECKING:
    from rich.console import Console

# An ensemble's variant names all of its members.
_WRAPPED = {"variant", "rerank", "pca", "published", "status"}
_MOST_WIDE = 40
_LEAST_NEEDED = (
    "index_bytes",
    "dimensions",
    "published_10",
    "published_5",
    "search_ms_per_query",
    "images_per_second",
    "metric",
    "recall_at_10",
    "hit_at_5",
    "run",
    "hit_at_10",
    "index",
    "pca",
    "p",
    "map_at_r",
    "published_1",
    "variant",
    "rerank",
    "interval",
    "hit_at_1",
    "model",
    "published",
)


def show_boards(boards: Sequence[Board], *, metric: str, console: Console) -> None:
    """Print every table; on a narrow terminal without the columns that matter least.

    Parameters
    ----------
    boards : sequence of Board
        From `read_boards`.
    metric : str
        What they are ranked by.
    console : Console
        Where to; its width decides what is shown.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    for board in boards:
        shown = _fitting(columns(board, metric), board, console.width, kept=metric)
        # Names are the user's: to rich, [bold] in one would be markup.
        made = Table(title=Text(words.title(board)), title_justify="left", box=box.SIMPLE_HEAD)
        made.pad_edge = False
        for column in shown:
            wraps = column.key in _WRAPPED
            made.add_column(
                column.heading,
                justify="right" if column.numeric else "left",
                no_wrap=not wraps,
                overflow="fold",
                max_width=_MOST_WIDE if wraps else None,
            )
        for row in board.rows:
            made.add_row(*(Text(column.text(row)) for column in shown))
        console.print(made)
        for line in (board.not_compared, *words.legend(board, metric)):
            if line:
                console.print(Text(line))


def _fitting(columns: Sequence[Column], board: Board, width: int, *, kept: str) -> list[Column]:
    """The columns that fit side by side; the one that is ranked by stays."""
    needed = {}
    for column in columns:
        texts = (column.heading, *(column.text(row) for row in board.rows))
        most = _MOST_WIDE if column.key in _WRAPPED else width
        needed[column.key] = min(max(map(len, texts)), most) + 3
    for key in _LEAST_NEEDED:
        if key in needed and key != kept and sum(needed.values()) > width and len(needed) > 2:
            del needed[key]
    return [column for column in columns if column.key in needed]
