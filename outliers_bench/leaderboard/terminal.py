"""Boards on a terminal, whatever its width."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from outliers_bench.leaderboard import sentences
from outliers_bench.leaderboard.boards import Board
from outliers_bench.leaderboard.columns import Column, columns

if TYPE_CHECKING:
    from rich.console import Console

# Columns that may be folded, and how narrow before others are left out; an ensemble's variant
# names all of its members.
_FOLDED = {
    "published": 14,
    "model": 18,
    "settings": 14,
    "status": 14,
    "variant": 20,
    "rerank": 14,
    "reduction": 14,
}
_APART = 3  # between two columns
_MOST_WIDE = 40
_LEAST_NEEDED = (
    "index_bytes",
    "dimensions",
    "published_10",
    "published_5",
    "search_ms_per_query",
    "images_per_second",
    "similarity",
    "recall_at_10",
    "hit_at_5",
    "run",
    "hit_at_10",
    "index",
    "reduction",
    "p",
    "with_leaks",
    "map_at_r",
    "variant",
    "rerank",
    "settings",
    "interval",
    "without_leaks",
    "status",
    "published_1",
    "hit_at_1",
    "published",
    "model",
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
        # On a published table the rows are known by their published names.
        kept = {"rank", metric, "published" if board.table else "model"}
        every = columns(board, metric)
        widths = _widths(every, board, console.width, kept=kept)
        shown = [column for column in every if column.key in widths]
        # Names are the user's: to rich, [bold] in one would be markup.
        made = Table(title=Text(sentences.title(board)), title_justify="left", box=box.SIMPLE_HEAD)
        made.pad_edge = False
        for column in shown:
            made.add_column(
                column.heading,
                justify="right" if column.numeric else "left",
                no_wrap=column.key not in _FOLDED,
                overflow="fold",
                width=widths[column.key],
            )
        for row in board.rows:
            made.add_row(*(Text(column.text(row)) for column in shown))
        console.print(made)
        legend = sentences.legend(board, [column.key for column in shown])
        for line in (*sentences.best(board, metric), *legend.values()):
            console.print(Text(line))


def _widths(
    columns: Sequence[Column], board: Board, width: int, *, kept: Collection[str]
) -> dict[str, int]:
    """The columns that fit side by side, those of `kept` in any case, and how wide they are."""
    full, least = {}, {}
    for column in columns:
        texts = (column.heading, *(column.text(row) for row in board.rows))
        full[column.key] = max(map(len, texts))
        least[column.key] = min(full[column.key], _FOLDED.get(column.key, width))
    for key in _LEAST_NEEDED:
        if key in least and key not in kept and sum(least.values()) + _APART * len(least) > width:
            del least[key]
    spare = width - sum(least.values()) - _APART * len(least)
    for key in _FOLDED:  # what matters most unfolds first
        if key in least and spare > 0:
            more = min(spare, min(full[key], _MOST_WIDE) - least[key])
            least[key] += more
            spare -= more
    return least
