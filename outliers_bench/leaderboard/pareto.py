"""Plots of accuracy against cost, with the Pareto front."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from outliers_bench.leaderboard.axes import Axis, cost_limits, cost_ticks, score_limits, score_ticks
from outliers_bench.leaderboard.boards import Row, row_label, short_labels
from outliers_bench.leaderboard.columns import format_metric, format_range, heading, long_heading
from outliers_bench.leaderboard.label_placement import Box, place_labels
from outliers_bench.leaderboard.svg import Drawing
from outliers_bench.leaderboard.text_width import ABOVE, BELOW, text_width

COSTS = ("images_per_second", "search_ms_per_query", "index_bytes")
_MORE_IS_BETTER = ("images_per_second",)
_WIDTH, _HEIGHT = 374.4, 280.8  # points
_TOP, _BOTTOM, _RIGHT = 7.0, 244.3, 368.8  # edges of the plotting area
_PAD = 3.5  # points between an axis and its tick labels
_TITLE_WIDTH = 19.3  # points next to these, for the title of the axis
_INK, _FAINT, _LINE, _ACCENT, _DOT, _CARD = (
    f"var(--{name})" for name in ("ink", "faint", "line", "accent", "dot", "card")
)


@dataclass(frozen=True)
class Point:
    """Method as a point of cost and accuracy."""

    label: str
    row: Row
    x: float
    y: float


def pareto_front(points: Sequence[Point], *, more_is_better: bool) -> list[Point]:
    """Return the points that no other point dominates, the cheapest first.

    Parameters
    ----------
    points : sequence of Point
    more_is_better : bool
        Whether a large x is better, as for a speed.
    """
    sign = -1 if more_is_better else 1
    best: list[Point] = []
    for point in sorted(points, key=lambda point: (sign * point.x, -point.y)):
        is_equal = bool(best) and (point.x, point.y) == (best[-1].x, best[-1].y)
        if not best or point.y > best[-1].y or is_equal:
            best.append(point)
    return best


def plot_cost(rows: Sequence[Row], *, metric: str, cost: str) -> str | None:
    """Plot accuracy against a cost, with the Pareto front as steps.

    Parameters
    ----------
    rows : sequence of Row
        Measured rows.
    metric, cost : str
        Metrics of the vertical axis and of the horizontal axis, which is logarithmic.

    Returns
    -------
    str or None
        An `<svg>` element for an HTML page; None if no row has both metrics and a positive cost.
    """
    points = [
        Point(_printable(text), row, row.metrics[cost], row.metrics[metric])
        for text, row in zip(short_labels(rows), rows, strict=True)
        if metric in row.metrics and row.metrics.get(cost, 0) > 0
    ]
    return draw(points, metric, cost) if points else None


def _printable(text: str) -> str:
    return "".join(letter for letter in text if letter.isprintable())


def draw(points: Sequence[Point], metric: str, cost: str) -> str:
    """Draw the plot of some points as an `<svg>` element."""
    alt = f"{heading(metric)} against {long_heading(cost)}; the table above has all figures"
    drawing = Drawing(_WIDTH, _HEIGHT, alt)
    x, y = _axes(drawing, points, metric, cost)
    more_is_better = cost in _MORE_IS_BETTER
    best = pareto_front(points, more_is_better=more_is_better)
    for point in points:
        if (interval := point.row.interval(metric)) is not None:
            ends = [(x.position(point.x), y.position(end)) for end in interval]
            drawing.line(ends, _color(point, best), opacity=0.5)
    for corner in ((x.start, y.end), (x.end, y.start)):
        drawing.line([(x.start, y.start), corner], _LINE, 0.8)
    # A step is level until the next better point.
    edge = x.start if more_is_better else x.end
    xs = [x.position(point.x) for point in best]
    steps = list(
        zip(
            [value for value in (*xs, edge) for _ in range(2)][1:],
            [y.position(point.y) for point in best for _ in range(2)] + [y.position(best[-1].y)],
            strict=True,
        )
    )
    drawing.line(steps, _ACCENT, 1.4)
    for point in points:
        center = x.position(point.x), y.position(point.y)
        title = _tooltip(point, metric, cost)
        drawing.dot(center, _color(point, best), _CARD, title=title)
    labels = place_labels(
        # The most accurate first.
        [(point.label, (x.position(point.x), y.position(point.y))) for point in reversed(best)],
        [(x.position(point.x), y.position(point.y)) for point in points],
        steps,
        Box(x.start, y.end, x.end, y.start),
    )
    for placed in labels:
        if placed.leader is not None:
            drawing.line(placed.leader, _FAINT, 0.6)
        drawing.text(placed.text, (placed.box.left, placed.box.bottom - BELOW), _INK)
    return str(drawing)


def _color(point: Point, best: Sequence[Point]) -> str:
    return _ACCENT if point in best else _DOT


def _axes(drawing: Drawing, points: Sequence[Point], metric: str, cost: str) -> tuple[Axis, Axis]:
    """Draw the grid with tick labels; return the axes of cost and of accuracy."""
    ends = [end for point in points for end in point.row.interval(metric) or ()]
    low, high = score_limits([*ends, *(point.y for point in points)])
    y = Axis(low, high, _BOTTOM, _TOP)
    y_ticks = score_ticks(low, high)
    widest = max(text_width(text) for _, text in y_ticks)
    left = widest + _PAD + _TITLE_WIDTH
    x = Axis(*cost_limits([point.x for point in points]), left, _RIGHT, logarithmic=True)
    below = _BOTTOM + _PAD + ABOVE
    for value, text in cost_ticks(x, cost, width=_WIDTH):
        drawing.line([(x.position(value), _BOTTOM), (x.position(value), _TOP)], _LINE, 0.7)
        drawing.text(text, (x.position(value), below), _FAINT, anchor="middle")
    for value, text in y_ticks:
        drawing.line([(left, y.position(value)), (_RIGHT, y.position(value))], _LINE, 0.7)
        drawing.text(text, (left - _PAD, y.position(value) + ABOVE / 2), _FAINT, anchor="end")
    better = "more is better" if cost in _MORE_IS_BETTER else "less is better"
    middle = (left + _RIGHT) / 2, below + ABOVE + BELOW + 4
    drawing.text(f"{long_heading(cost)} (log; {better})", middle, _FAINT, anchor="middle")
    middle = left - _PAD - widest - 6, (_TOP + _BOTTOM) / 2
    drawing.text(heading(metric), middle, _FAINT, anchor="middle", upward=True)
    return x, y


def _tooltip(point: Point, metric: str, cost: str) -> str:
    interval = point.row.interval(metric)
    interval_text = "" if interval is None else f" ({format_range(metric, interval)})"
    score = f"{heading(metric)} {format_metric(metric, point.y)}{interval_text}"
    name = _printable(row_label(point.row))
    return f"{point.row.rank}. {name}: {score}, {heading(cost)} {format_metric(cost, point.x)}"
