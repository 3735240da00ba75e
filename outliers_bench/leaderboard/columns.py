"""The columns of a board, for the terminal, Markdown and HTML alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from outliers_bench.evaluation.metric_names import is_score, less_is_better
from outliers_bench.evaluation.paired import ALPHA
from outliers_bench.leaderboard.boards import METHOD, SCORES, Board, Row, label
from outliers_bench.reports import numbers as readable

_COSTS = {
    "dimensions": "dim",
    "images_per_second": "img/s",
    "search_ms_per_query": "ms/query",
    "recall_at_10": "recall@10",
    "index_bytes": "index size",
}
_LONG = {
    "dim": "dimensions",
    "img/s": "images/s",
}
TIED = "="
LEAKS = {"without_leaks": "without leaks", "with_leaks": "with leaks"}
"""Scores beside the headline, by what their names begin with; see `types.Beside`."""
_IF_USED = ("rerank", "settings")  # parts of a method that most have not


@dataclass(frozen=True)
class Column:
    """One column of a board.

    Parameters
    ----------
    key, heading, title : str
        What it is to the program, over a narrow table, and over a wide one.
    numeric : bool
        Whether it holds numbers, to be read from the right.
    large_first : bool
        Whether the large ones are of interest first, as with scores and speeds.
    text : callable
        What stands in a row's cell.
    value : callable
        What the cell is sorted by, in full precision; None for an empty one.
    interval : callable
        The 95% interval of the value, where there is one.
    """

    key: str
    heading: str
    title: str
    numeric: bool
    text: Callable[[Row], str]
    value: Callable[[Row], float | str | None]
    interval: Callable[[Row], tuple[float, float] | None] = lambda _: None
    large_first: bool = False


def columns(board: Board, metric: str) -> list[Column]:
    """The columns of a board.

    What nobody used, such as re-ranking or an approximate index, gets no column.

    Parameters
    ----------
    board : Board
    metric : str
        What it is ranked by.
    """
    return [
        Column("rank", "rank", "rank", True, rank_text, lambda row: row.rank),
        *_method(board),
        *_published(board),
        *_measured(board, metric),
        _text("run", "run", lambda row: row.run_id[:8]),
    ]


def cells(board: Board, metric: str) -> tuple[list[str], list[list[str]]]:
    """Header and rows of a table as people read it."""
    shown = columns(board, metric)
    rows = [[column.text(row) for column in shown] for row in board.rows]
    return [column.heading for column in shown], rows


def rank_text(row: Row) -> str:
    """The rank, with a mark on what is tied with the best without having its figure."""
    if row.rank is None:
        return ""
    return f"{row.rank} {TIED}" if row.tied and row.rank > 1 else str(row.rank)


def number(metric: str, value: float) -> str:
    """A metric's value as people read it."""
    if is_score(metric.rpartition("/")[2]) or metric.startswith("recall_at_"):
        return readable.score(value)
    if metric.endswith("_bytes"):
        return readable.size(value)
    return f"{value:,.0f}" if float(value).is_integer() else readable.rate(value)


def range_text(metric: str, interval: tuple[float, float]) -> str:
    """An interval as people read it."""
    return "–".join(number(metric, end) for end in interval)


def p_text(p: float, *, at_most: bool = False) -> str:
    """A p-value with two digits that count, at most three decimals; more beside the limit.

    Examples
    --------
    >>> p_text(0.0004), p_text(0.0123), p_text(0.25), p_text(0.0496), p_text(0.009, at_most=True)
    ('< 0.001', '0.012', '0.25', '0.0496', '≤ 0.009')
    """
    rounded = round(p, 3)
    if rounded < 0.001:
        return "< 0.001"
    text = f"{p:.3f}" if rounded < 0.1 else f"{p:.2f}"
    if rounded == ALPHA:  # on which side it lies must be seen
        text = f"{p:.4f}" if p >= ALPHA or round(p, 4) < ALPHA else f"< {ALPHA}"
    return f"≤ {text}" if at_most else text


def heading(metric: str) -> str:
    """What stands over a metric's column."""
    begin, _, bare = metric.partition("/")
    if begin in LEAKS:
        return f"{readable.title(bare)} {LEAKS[begin]}"
    return _COSTS.get(metric) or readable.title(metric)


def long_heading(metric: str) -> str:
    """The same where there is room."""
    return _LONG.get(heading(metric), heading(metric))


def _text(key: str, title: str, text: Callable[[Row], str]) -> Column:
    return Column(key, title, title, False, text, lambda row: text(row) or None)


def _method(board: Board) -> Iterator[Column]:
    if any(row.published is not None for row in board.rows):
        yield _text("published", "published row", _published_title)
    for name in METHOD:
        if name not in _IF_USED or any(row.method.get(name) for row in board.rows):
            yield _text(name, name, _method_part(name))
    if not all(row.measured for row in board.rows):
        yield _text("status", "status", lambda row: row.status)


def _published_title(row: Row) -> str:
    return "" if row.published is None else row.published.title or row.published.row or ""


def _method_part(name: str) -> Callable[[Row], str]:
    def text(row: Row) -> str:
        if name == "model" and not row.method.get(name):
            return label(row) if row.measured else ""
        return row.method.get(name, "")

    return text


def _published(board: Board) -> Iterator[Column]:
    if all(row.published is None for row in board.rows):
        return
    for k in (1, 5, 10):
        value = _figure(k)
        long = f"published top-{k}"
        text = _figure_text(k)
        yield Column(f"published_{k}", f"pub@{k}", long, True, text, value, large_first=True)


def _figure(k: int) -> Callable[[Row], float | None]:
    return lambda row: None if row.published is None else getattr(row.published, f"top_{k}")


def _figure_text(k: int) -> Callable[[Row], str]:
    def text(row: Row) -> str:
        value = _figure(k)(row)
        if value is not None:
            return f"{value:g}"
        if k == 5 and row.published is not None and row.published.top_3 is not None:
            return f"{row.published.top_3:g} (top 3)"
        return ""

    return text


def _measured(board: Board, metric: str) -> Iterator[Column]:
    for name in dict.fromkeys((metric, *SCORES)):
        if name not in _COSTS:
            yield _metric(name)
        if name != metric:
            continue
        if any(row.interval(name) for row in board.rows):
            yield Column(
                "interval",
                "95%",
                "95% interval",
                True,
                _interval_text(name),
                lambda row: (row.interval(metric) or (None,))[0],
            )
        if any(row.p is not None for row in board.rows):
            yield Column("p", "p", "p, Holm", True, _p, lambda row: row.p)
        for key, told in LEAKS.items():
            beside = f"{key}/{name}"
            if any(beside in row.metrics for row in board.rows):
                title = f"{heading(name)} {told}"
                yield replace(_metric(beside), key=key, heading=told, title=title)
    for name in _COSTS:
        if name != "recall_at_10" or any(name in row.metrics for row in board.rows):
            yield _metric(name)


def _p(row: Row) -> str:
    return "" if row.p is None or row.rank == 1 else p_text(row.p, at_most=row.p_at_most)


def _interval_text(metric: str) -> Callable[[Row], str]:
    def text(row: Row) -> str:
        found = row.interval(metric)
        return "" if found is None else range_text(metric, found)

    return text


def _metric(name: str) -> Column:
    def text(row: Row) -> str:
        value = row.metrics.get(name) if row.measured else None
        return "" if value is None else number(name, value)

    return Column(
        name,
        heading(name),
        long_heading(name),
        True,
        text,
        lambda row: row.metrics.get(name) if row.measured else None,
        lambda row: row.interval(name) if row.measured else None,
        large_first=not less_is_better(name),
    )
