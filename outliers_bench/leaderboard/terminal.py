"""Boards as tables on the terminal, fitted to its width."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from outliers_bench.leaderboard import sentences
from outliers_bench.leaderboard.boards import Board
from outliers_bench.leaderboard.columns import Column, select_columns

if TYPE_CHECKING:
    from rich.console import Console

# Minimum widths of columns that may be folded before others are dropped. The variant of an
# ensemble lists all of its members.
_FOLDABLE = {
    "published": 14,
    "model": 18,
    "settings": 14,
    "status": 14,
    "variant": 20,
    "rerank": 14,
    "reduction": 14,
}
_COLUMN_GAP = 3
_MAX_FOLDABLE = 40  # width of a foldable column
_DROP_ORDER = (  # least important first
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
    """Print boards as tables; on a narrow terminal without the least important columns.

    Parameters
    ----------
    boards : sequence of Board
        From `read_boards`.
    metric : str
        Metric of the ranking.
    console : Console
        Console to print to; its width determines the columns shown.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    for board in boards:
        # The rows of a published table are identified by their published names.
        required = {"rank", metric, "published" if board.table else "model"}
        available = select_columns(board, metric)
        widths = _fit_columns(available, board, console.width, required=required)
        shown = [column for column in available if column.key in widths]
        # `Text`, as rich would parse [bold] in a name as markup.
        table = Table(title=Text(sentences.title(board)), title_justify="left", box=box.SIMPLE_HEAD)
        table.pad_edge = False
        for column in shown:
            table.add_column(
                column.heading,
                justify="right" if column.numeric else "left",
                no_wrap=column.key not in _FOLDABLE,
                overflow="fold",
                width=widths[column.key],
            )
        for row in board.rows:
            table.add_row(*(Text(column.text(row)) for column in shown))
        console.print(table)
        legend = sentences.legend(board, [column.key for column in shown])
        for line in (*sentences.best(board, metric), *legend.values()):
            console.print(Text(line))


def _fit_columns(
    columns: Sequence[Column], board: Board, width: int, *, required: Collection[str]
) -> dict[str, int]:
    """Return the widths of the columns that fit, always with those of `required`."""
    full, widths = {}, {}
    for column in columns:
        texts = (column.heading, *(column.text(row) for row in board.rows))
        full[column.key] = max(map(len, texts))
        widths[column.key] = min(full[column.key], _FOLDABLE.get(column.key, width))
    for key in _DROP_ORDER:
        if (
            key in widths
            and key not in required
            and sum(widths.values()) + _COLUMN_GAP * len(widths) > width
        ):
            del widths[key]
    spare = width - sum(widths.values()) - _COLUMN_GAP * len(widths)
    for key in _FOLDABLE:  # the most important unfolds first
        if key in widths and spare > 0:
            more = min(spare, min(full[key], _MAX_FOLDABLE) - widths[key])
            widths[key] += more
            spare -= more
    return widths
