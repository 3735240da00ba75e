"""Accuracy against cost: which methods nothing else beats in both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from outliers_bench.leaderboard.axes import Axis, cost_limits, cost_ticks, score_limits, score_ticks
from outliers_bench.leaderboard.boards import Row, label, short_labels
from outliers_bench.leaderboard.columns import heading, long_heading, number, range_text
from outliers_bench.leaderboard.label_placement import Box, place_names
from outliers_bench.leaderboard.svg import Drawing
from outliers_bench.leaderboard.text_width import ABOVE, BELOW, text_width

COSTS = ("images_per_second", "search_ms_per_query", "index_bytes")
_MORE_IS_BETTER = ("images_per_second",)
_WIDTH, _HEIGHT = 374.4, 280.8  # points
_TOP, _BOTTOM, _RIGHT = 7.0, 244.3, 368.8  # of what the axes enclose
_PAD = 3.5  # points between an axis and its numbers
_CALLED = 19.3  # points beside these, for what the axis is called
_INK, _FAINT, _LINE, _ACCENT, _DOT, _CARD = (
    f"var(--{name})" for name in ("ink", "faint", "line", "accent", "dot", "card")
)


@dataclass(frozen=True)
class Point:
    """A method in the plane of cost and accuracy."""

    label: str
    row: Row
    x: float
    y: float


def front(points: Sequence[Point], *, more_is_better: bool) -> list[Point]:
    """The points that no other beats in one and equals or beats in the other, cheapest first.

    Parameters
    ----------
    points : sequence of Point
    more_is_better : bool
        Whether a large x is good, as with a speed.
    """
    sign = -1 if more_is_better else 1
    kept: list[Point] = []
    for point in sorted(points, key=lambda point: (sign * point.x, -point.y)):
        twin = bool(kept) and (point.x, point.y) == (kept[-1].x, kept[-1].y)
        if not kept or point.y > kept[-1].y or twin:
            kept.append(point)
    return kept


def plot(rows: Sequence[Row], *, metric: str, cost: str) -> str | None:
    """Draw accuracy against a cost, the Pareto front as steps.

    Parameters
    ----------
    rows : sequence of Row
        Measured ones.
    metric, cost : str
        What goes up and what goes to the right (logarithmic).

    Returns
    -------
    str or None
        An `<svg>` element to stand in HTML; None where no row has both above zero.
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
    """The drawing itself."""
    alt = f"{heading(metric)} against {long_heading(cost)}; the table above has every figure"
    drawing = Drawing(_WIDTH, _HEIGHT, alt)
    x, y = _axes(drawing, points, metric, cost)
    more_is_better = cost in _MORE_IS_BETTER
    best = front(points, more_is_better=more_is_better)
    for point in points:
        if (interval := point.row.interval(metric)) is not None:
            ends = [(x.at(point.x), y.at(end)) for end in interval]
            drawing.line(ends, _color(point, best), opacity=0.5)
    for corner in ((x.start, y.end), (x.end, y.start)):
        drawing.line([(x.start, y.start), corner], _LINE, 0.8)
    # What is at least this good costs at least this much: level until the next better one.
    far = x.start if more_is_better else x.end
    across = [x.at(point.x) for point in best]
    steps = list(
        zip(
            [place for place in (*across, far) for _ in range(2)][1:],
            [y.at(point.y) for point in best for _ in range(2)] + [y.at(best[-1].y)],
            strict=True,
        )
    )
    drawing.line(steps, _ACCENT, 1.4)
    for point in points:
        told = _told(point, metric, cost)
        drawing.dot((x.at(point.x), y.at(point.y)), _color(point, best), _CARD, title=told)
    names = place_names(
        # The most accurate first.
        [(point.label, (x.at(point.x), y.at(point.y))) for point in reversed(best)],
        [(x.at(point.x), y.at(point.y)) for point in points],
        steps,
        Box(x.start, y.end, x.end, y.start),
    )
    for name in names:
        if name.lead is not None:
            drawing.line(name.lead, _FAINT, 0.6)
        drawing.text(name.text, (name.box.left, name.box.bottom - BELOW), _INK)
    return str(drawing)


def _color(point: Point, best: Sequence[Point]) -> str:
    return _ACCENT if point in best else _DOT


def _axes(drawing: Drawing, points: Sequence[Point], metric: str, cost: str) -> tuple[Axis, Axis]:
    """Draw the grid with its numbers; the axes of cost and of accuracy."""
    ends = [end for point in points for end in point.row.interval(metric) or ()]
    low, high = score_limits([*ends, *(point.y for point in points)])
    y = Axis(low, high, _BOTTOM, _TOP)
    up = score_ticks(low, high)
    widest = max(text_width(text) for _, text in up)
    left = widest + _PAD + _CALLED
    x = Axis(*cost_limits([point.x for point in points]), left, _RIGHT, logarithmic=True)
    below = _BOTTOM + _PAD + ABOVE
    for value, text in cost_ticks(x, cost, paper=_WIDTH):
        drawing.line([(x.at(value), _BOTTOM), (x.at(value), _TOP)], _LINE, 0.7)
        drawing.text(text, (x.at(value), below), _FAINT, anchor="middle")
    for value, text in up:
        drawing.line([(left, y.at(value)), (_RIGHT, y.at(value))], _LINE, 0.7)
        drawing.text(text, (left - _PAD, y.at(value) + ABOVE / 2), _FAINT, anchor="end")
    better = "more is better" if cost in _MORE_IS_BETTER else "less is better"
    middle = (left + _RIGHT) / 2, below + ABOVE + BELOW + 4
    drawing.text(f"{long_heading(cost)} (log; {better})", middle, _FAINT, anchor="middle")
    middle = left - _PAD - widest - 6, (_TOP + _BOTTOM) / 2
    drawing.text(heading(metric), middle, _FAINT, anchor="middle", upward=True)
    return x, y


def _told(point: Point, metric: str, cost: str) -> str:
    interval = point.row.interval(metric)
    around = "" if interval is None else f" ({range_text(metric, interval)})"
    score = f"{heading(metric)} {number(metric, point.y)}{around}"
    name = _printable(label(point.row))
    return f"{point.row.rank}. {name}: {score}, {heading(cost)} {number(cost, point.x)}"
