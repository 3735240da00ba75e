"""The axes of accuracy against cost: limits, ticks whose numbers can be read, looks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from outliers_bench.reports.leaderboard.columns import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.ticker import Locator

_GAP = 4  # points between two numbers
_FEW = 5  # largest over smallest; below, powers would be too few ticks
_MANY = 1e3


def set_limits(axes: Axes, xs: Sequence[float], ys: Sequence[float]) -> None:
    """Leave room around the values, on the logarithmic x axis and on y."""
    axes.set_xscale("log")
    low, high = min(xs), max(xs)
    room = max(high / low, 4.0) ** 0.16
    axes.set_xlim(low / room, high * room)
    low, high = min(ys), max(ys)
    margin = max(0.12 * (high - low), 0.01 * abs(high), 1e-3)
    axes.set_ylim(low - margin, high + margin)


def set_ticks(figure: Figure, axes: Axes, cost: str) -> None:
    """Number both axes, with room for every number and none over another.

    Parameters
    ----------
    figure, axes : Figure and Axes
        The axes with their limits and labels, alone in the figure.
    cost : str
        What the x axis counts.
    """
    from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

    axes.yaxis.set_major_locator(MaxNLocator(nbins=6))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.6g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_locator(FixedLocator(_values(*axes.get_xlim(), cost)))
    axes.xaxis.set_major_formatter(
        FuncFormatter(lambda value, _: number(cost, value).replace(".0 ", " "))
    )
    figure.draw_without_rendering()
    beside = axes.yaxis.label.get_window_extent().width + 3 * _GAP
    widest = max((label.get_window_extent().width for label in axes.get_yticklabels()), default=0)
    paper = figure.bbox
    figure.subplots_adjust(left=(widest + beside) / paper.width)
    figure.draw_without_rendering()
    shown, end = [], paper.x0
    for value, label in zip(axes.get_xticks(), axes.get_xticklabels(), strict=True):
        box = label.get_window_extent()
        if box.x0 >= end and box.x1 <= paper.x1:
            shown.append(value)
            end = box.x1 + _GAP
    axes.xaxis.set_major_locator(FixedLocator(shown))


def _values(low: float, high: float, cost: str) -> list[float]:
    """Round numbers between two: powers where they are many, else as on a linear axis."""
    from matplotlib.ticker import LogLocator, MaxNLocator

    binary = cost.endswith("_bytes")
    unit = 1.0
    if high / low < _FEW:
        while binary and unit * 1024 <= low:
            unit *= 1024
        locator: Locator = MaxNLocator(nbins=5)
    elif binary:
        locator = LogLocator(base=2, numticks=7)
    else:  # two or three numbers in each decade: one alone would leave the axis nearly bare
        subs = (1.0, 2.0, 5.0) if high / low < _MANY else (1.0,)
        locator = LogLocator(subs=subs, numticks=12)
    found = [float(value) * unit for value in locator.tick_values(low / unit, high / unit)]
    return [value for value in found if low <= value <= high]
