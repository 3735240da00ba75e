"""Plots of accuracy against cost, with the Pareto front; `page.html.j2` draws them as SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from outliers_bench.leaderboard.boards import Row, row_label, short_labels
from outliers_bench.leaderboard.columns import format_metric, format_range, heading

COSTS = ("images_per_second", "search_ms_per_query", "index_bytes")
_MORE_IS_BETTER = ("images_per_second",)
WIDTH, HEIGHT = 300, 240  # pixels of the area between the axes
_LETTER, _LINE = 5.0, 12  # pixels: width of a letter, as the browser chooses the font; line height
# Of labels from their dots, nearest first: 1 is the side of better costs; pixels upward.
_OFFSETS = ((1, 0), (-1, 8), (1, 8), (0, 12), (-1, -10), (1, -10), (-1, 19), (1, 19), (-1, -20))
_ANCHORS = {-1: "end", 0: "middle", 1: "start"}
_MAX_TICKS = 5
_MIN_LOG_RATIO = 5  # of largest to smallest value; below it, powers would be too few ticks


class Dot(NamedTuple):
    """Run in a plot."""

    x: float
    y: float
    interval: tuple[float, float] | None  # y of both ends
    is_best: bool  # on the Pareto front
    label: str
    title: str


class CostPlot(NamedTuple):
    """Plot of accuracy against a cost; positions are in pixels from the upper left corner."""

    x_title: str
    y_title: str
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    dots: list[Dot]
    labels: list[tuple[float, float, str, str]]  # x, y, text-anchor, text
    front: str  # path; it is level until the next better run


def plot_cost(rows: Sequence[Row], *, metric: str, cost: str) -> CostPlot | None:
    """Plot accuracy against a cost.

    Parameters
    ----------
    rows : sequence of Row
        Measured rows.
    metric, cost : str
        Metrics of the vertical axis and of the horizontal axis, which is logarithmic.

    Returns
    -------
    CostPlot or None
        None if no row has both metrics and a positive cost.
    """
    points = [
        (row.metrics[cost], row.metrics[metric], row, label)
        for row, label in zip(rows, short_labels(rows), strict=True)
        if metric in row.metrics and row.metrics.get(cost, 0) > 0
    ]
    if not points:
        return None
    costs = [value for value, *_ in points]
    margin = max(max(costs) / min(costs), 4.0) ** 0.16
    left, right = min(costs) / margin, max(costs) * margin
    scores = [end for _, score, row, _ in points for end in row.interval(metric) or (score,)]
    margin = max(0.12 * (max(scores) - min(scores)), 0.01 * abs(max(scores)), 1e-3)
    low, high = min(scores) - margin, max(scores) + margin

    def x(value: float) -> float:
        return round(math.log(value / left, right / left) * WIDTH, 2)

    def y(score: float) -> float:
        return round((high - score) / (high - low) * HEIGHT, 2)

    more_is_better = cost in _MORE_IS_BETTER
    front = pareto_front([point[:2] for point in points], more_is_better=more_is_better)
    dots = [
        Dot(
            x(value),
            y(score),
            (y(ends[0]), y(ends[1])) if (ends := row.interval(metric)) else None,
            (value, score) in front,
            label,
            _tooltip(row, metric, cost),
        )
        for value, score, row, label in points
    ]
    steps = " V ".join(f"{y(score)} H {x(value)}" for value, score in reversed(front))
    return CostPlot(
        x_title=f"{heading(cost)} (log; {'more' if more_is_better else 'less'} is better)",
        y_title=heading(metric),
        x_ticks=[
            (x(value), format_metric(cost, value).replace(".0 ", " "))
            for value in _log_ticks(left, right, binary=cost.endswith("_bytes"))
        ],
        y_ticks=[(y(score), f"{score:.6g}") for score in _even_ticks(low, high)],
        dots=dots,
        labels=_place_labels(dots, side=1 if more_is_better else -1),
        front=f"M {0 if more_is_better else WIDTH} {steps}",
    )


def pareto_front(
    points: Sequence[tuple[float, float]], *, more_is_better: bool
) -> list[tuple[float, float]]:
    """Return the points of cost and score that no other point dominates, the cheapest first."""
    best: list[tuple[float, float]] = []
    sign = -1 if more_is_better else 1
    for point in sorted(points, key=lambda point: (sign * point[0], -point[1])):
        if not best or point[1] > best[-1][1]:
            best.append(point)
    return best


def _place_labels(dots: Sequence[Dot], *, side: int) -> list[tuple[float, float, str, str]]:
    """Place the labels of the Pareto front, the most accurate first.

    There can be no dot on the side of better costs, so that is the first choice. A label that would
    cover a dot, the front or another label everywhere is omitted.

    Parameters
    ----------
    dots : sequence of Dot
        The most accurate first.
    side : int
        Direction of better costs: -1 on the left, 1 on the right.
    """
    taken = [(dot.x - 5, dot.x + 5, dot.y - 5, dot.y + 5) for dot in dots]
    front = [dot for dot in dots if dot.is_best]
    step_x, step_y = WIDTH * (1 - side) / 2, front[0].y
    for dot in front:
        taken += [
            (min(step_x, dot.x), max(step_x, dot.x), dot.y - 1, dot.y + 1),
            (step_x - 1, step_x + 1, step_y, dot.y),
        ]
        step_x, step_y = dot.x, dot.y
    labels = []
    for dot in front:
        width = _LETTER * len(dot.label)
        for toward, up in _OFFSETS:
            to = toward * side
            start, middle = dot.x + 7 * to, dot.y - up
            if up:  # moved sideways into the plot
                start = min(max(start, (1 - to) / 2 * width), WIDTH - (to + 1) / 2 * width)
            left, right = start + (to - 1) / 2 * width, start + (to + 1) / 2 * width
            top, bottom = middle - _LINE / 2, middle + _LINE / 2
            is_free = all(
                right <= x1 or x2 <= left or bottom <= y1 or y2 <= top for x1, x2, y1, y2 in taken
            )
            if is_free and left >= 0 and right <= WIDTH and top > 0:
                taken.append((left - 4, right + 4, top, bottom))
                labels.append((start, middle + 3, _ANCHORS[to], dot.label))
                break
    return labels


def _log_ticks(low: float, high: float, *, binary: bool) -> list[float]:
    """Return round values of a cost: powers over a large range, even steps over a small one."""
    if high / low < _MIN_LOG_RATIO:
        return _even_ticks(low, high, 1024.0 ** int(math.log(max(low, 1), 1024)) if binary else 1)
    base = 2.0 if binary else 10.0
    powers = range(math.floor(math.log(low, base)), math.ceil(math.log(high, base)) + 1)
    values = [n * base**power for power in powers for n in ((1,) if binary else (1, 2, 5))]
    for stride in range(1, len(powers)):
        shown = [value for value in values if low <= value <= high]
        if len(shown) <= _MAX_TICKS:
            break
        values = [base**power for power in powers if power % stride == 0]
    return shown


def _even_ticks(low: float, high: float, unit: float = 1) -> list[float]:
    """Return multiples of a round step, which is 1, 2 or 5 times a power of ten units."""
    least = (high - low) / unit / _MAX_TICKS
    power = 10.0 ** math.floor(math.log10(least))
    step = unit * next(n * power for n in (1, 2, 5, 10) if n * power >= least)
    return [n * step for n in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _tooltip(row: Row, metric: str, cost: str) -> str:
    score, value = (
        format_metric(metric, row.metrics[metric]),
        format_metric(cost, row.metrics[cost]),
    )
    interval = row.interval(metric)
    between = "" if interval is None else f" ({format_range(metric, interval)})"
    name = f"{row.rank}. {row_label(row)}"
    return f"{name}: {heading(metric)} {score}{between}, {heading(cost)} {value}"
