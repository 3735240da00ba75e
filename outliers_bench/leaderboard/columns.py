"""Columns of a board, shared by the terminal, Markdown and HTML."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

from outliers_bench.evaluation.metrics import is_score, lower_is_better
from outliers_bench.evaluation.paired import ALPHA
from outliers_bench.leaderboard.boards import METHOD, SCORES, Board, Row, published_title
from outliers_bench.reports import numbers
from outliers_bench.runtime.units import format_bytes

_COSTS = {
    "dimensions": "dim",
    "images_per_second": "img/s",
    "search_ms_per_query": "ms/query",
    "recall_at_10": "recall@10",
    "index_bytes": "index size",
}
TIED_MARK = "="
LEAKAGE_SCORES = {"without_leaks": "without leakage", "with_leaks": "with leakage"}
"""Headings of scores computed with other photos, by prefix; see `result.LeakageScores`."""
_IF_USED = ("rerank", "settings")  # parts of a method that most runs do not have


@dataclass(frozen=True)
class Column:
    """Column of a board."""

    key: str
    heading: str
    text: Callable[[Row], str]
    value: Callable[[Row], float | str | None]  # to sort by, in full precision
    interval: Callable[[Row], tuple[float, float] | None] = lambda _: None
    numeric: bool = True  # numbers are right-aligned
    large_first: bool = False  # whether sorting begins with the largest value, as for scores


def select_columns(board: Board, metric: str) -> list[Column]:
    """Select the columns of a board.

    Optional columns, such as re-ranking, are omitted if no row has a value.

    Parameters
    ----------
    board : Board
    metric : str
        Metric of the ranking.
    """
    return [
        Column("rank", "rank", format_rank, lambda row: row.rank),
        *_method_columns(board),
        *_measured_columns(board, metric),
        _text_column("run", "run", lambda row: row.run_id[:8]),
    ]


def format_rank(row: Row) -> str:
    """Format the rank, with a mark if the row is tied with the best but not equal to it."""
    if row.rank is None:
        return ""
    return f"{row.rank} {TIED_MARK}" if row.tied and row.rank > 1 else str(row.rank)


def format_metric(metric: str, value: float) -> str:
    """Format the value of a metric."""
    if is_score(bare := metric.rpartition("/")[2]) or metric.startswith("recall_at_"):
        return numbers.format_metric(bare, value)
    if metric.endswith("_bytes"):
        return format_bytes(value)
    return f"{value:,.0f}" if float(value).is_integer() else numbers.format_rate(value)


def format_range(metric: str, interval: tuple[float, float]) -> str:
    """Format the interval of a metric."""
    return "–".join(format_metric(metric, end) for end in interval)


def format_p(p: float, *, at_most: bool = False) -> str:
    """Format a p-value with two or three decimals, and more close to the significance level.

    Examples
    --------
    >>> format_p(0.0004), format_p(0.0123), format_p(0.25), format_p(0.0496)
    ('< 0.001', '0.012', '0.25', '0.0496')
    >>> format_p(0.009, at_most=True)
    '≤ 0.009'
    """
    rounded = round(p, 3)
    if rounded < 0.001:
        return "< 0.001"
    text = f"{p:.3f}" if rounded < 0.1 else f"{p:.2f}"
    if rounded == ALPHA:  # must show whether p is below the significance level
        text = f"{p:.4f}" if p >= ALPHA or round(p, 4) < ALPHA else f"< {ALPHA}"
    return f"≤ {text}" if at_most else text


def heading(metric: str) -> str:
    """Return the heading of a metric."""
    prefix, _, bare = metric.partition("/")
    if prefix in LEAKAGE_SCORES:
        return f"{numbers.metric_title(bare)} {LEAKAGE_SCORES[prefix]}"
    return _COSTS.get(metric) or numbers.metric_title(metric)


def _text_column(key: str, title: str, text: Callable[[Row], str]) -> Column:
    return Column(key, title, text, lambda row: text(row) or None, numeric=False)


def _method_columns(board: Board) -> Iterator[Column]:
    """Yield the columns of names and of published figures."""
    is_published = any(row.published is not None for row in board.rows)
    if is_published:
        yield _text_column("published", "published row", published_title)
    for name in METHOD:
        if name not in _IF_USED or any(row.method.get(name) for row in board.rows):
            yield _text_column(name, name, partial(_method_part, name=name))
    if not all(row.is_measured for row in board.rows):
        yield _text_column("status", "status", lambda row: row.status)
    for k in (1, 5, 10) if is_published else ():
        value = partial(_published_value, k=k)
        text = partial(_published_text, k=k)
        yield Column(f"published_{k}", f"pub@{k}", text, value, large_first=True)


def _method_part(row: Row, *, name: str) -> str:
    return row.method.get(name, "")


def _published_value(row: Row, *, k: int) -> float | None:
    return getattr(row.published, f"top_{k}", None)


def _published_text(row: Row, *, k: int) -> str:
    value, top_3 = _published_value(row, k=k), _published_value(row, k=3)
    if value is None and k == 5 and top_3 is not None:
        return f"{top_3:g} (top 3)"
    return "" if value is None else f"{value:g}"


def _measured_columns(board: Board, metric: str) -> Iterator[Column]:
    if metric not in _COSTS:
        yield _metric_column(metric)
    if any(row.interval(metric) for row in board.rows):
        text = partial(_interval_text, metric=metric)
        yield Column("interval", "95%", text, lambda row: (row.interval(metric) or (None,))[0])
    if any(row.p is not None for row in board.rows):
        yield Column("p", "p", _p_text, lambda row: row.p)
    for key, title in LEAKAGE_SCORES.items():
        rescored = f"{key}/{metric}"
        if any(rescored in row.metrics for row in board.rows):
            yield replace(_metric_column(rescored), key=key, heading=title)
    for name in SCORES:
        if name != metric:
            yield _metric_column(name)
    for name in _COSTS:
        if name != "recall_at_10" or any(name in row.metrics for row in board.rows):
            yield _metric_column(name)


def _p_text(row: Row) -> str:
    return "" if row.p is None or row.rank == 1 else format_p(row.p, at_most=row.p_at_most)


def _interval_text(row: Row, *, metric: str) -> str:
    interval = row.interval(metric)
    return "" if interval is None else format_range(metric, interval)


def _metric_column(name: str) -> Column:
    return Column(
        name,
        heading(name),
        lambda row: format_metric(name, row.metrics[name]) if name in row.metrics else "",
        lambda row: row.metrics.get(name),
        lambda row: row.interval(name),
        large_first=not lower_is_better(name),
    )
