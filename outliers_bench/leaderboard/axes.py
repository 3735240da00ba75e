"""Axes of the plots of accuracy against cost: limits and ticks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from outliers_bench.leaderboard.columns import format_metric
from outliers_bench.leaderboard.text_width import text_width

_GAP = 4.0  # points between two tick labels
_MIN_LOG_RATIO = 5  # of largest to smallest value; below it, powers would be too few ticks
_MIN_DECADES_RATIO = 1e3  # from which powers of ten are enough ticks
_STEPS = (1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0)  # times a power of ten
_MAX_DECIMAL, _MAX_BINARY, _MAX_X, _MAX_Y = 12, 7, 5, 6  # numbers of ticks


@dataclass(frozen=True)
class Axis:
    """Axis of values from `low` to `high`, drawn from `start` to `end` in points."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def position(self, value: float) -> float:
        """Return the position of a value on the drawing, in points."""
        low, high, value = (
            map(math.log, (self.low, self.high, value))
            if self.logarithmic
            else (self.low, self.high, value)
        )
        return self.start + (value - low) / (high - low) * (self.end - self.start)


def cost_limits(values: Sequence[float]) -> tuple[float, float]:
    """Return the limits of a logarithmic axis, with a margin around the values."""
    low, high = min(values), max(values)
    margin = max(high / low, 4.0) ** 0.16
    return low / margin, high * margin


def score_limits(values: Sequence[float]) -> tuple[float, float]:
    """Return the limits of a linear axis, with a margin around the values."""
    low, high = min(values), max(values)
    margin = max(0.12 * (high - low), 0.01 * abs(high), 1e-3)
    return low - margin, high + margin


def score_ticks(low: float, high: float) -> list[tuple[float, str]]:
    """Return round values between the limits and their labels."""
    return [(value, f"{value:.6g}") for value in _even_values(low, high, _MAX_Y)]


def cost_ticks(axis: Axis, cost: str, *, width: float) -> list[tuple[float, str]]:
    """Return round values on the axis of a cost and their labels, without overlaps.

    Parameters
    ----------
    axis : Axis
        The horizontal axis.
    cost : str
        Metric of the axis.
    width : float
        Width of the drawing, in points.
    """
    ticks, end = [], 0.0
    for value in _round_values(axis.low, axis.high, cost):
        text = format_metric(cost, value).replace(".0 ", " ")
        half = text_width(text) / 2
        x = axis.position(value)
        if x - half >= end and x + half <= width:
            ticks.append((value, text))
            end = x + half + _GAP
    return ticks


def _round_values(low: float, high: float, cost: str) -> list[float]:
    """Return round values of a cost: powers over a large range, even steps over a small one."""
    binary = cost.endswith("_bytes")
    if high / low < _MIN_LOG_RATIO:
        unit = 1024.0 ** int(math.log(max(low, 1.0), 1024)) if binary else 1.0
        return [unit * value for value in _even_values(low / unit, high / unit, _MAX_X)]
    if binary:
        return _powers(2, low, high, _MAX_BINARY)
    if high / low >= _MIN_DECADES_RATIO:
        return _powers(10, low, high, _MAX_DECIMAL)
    # Three values per decade, as one would leave the axis nearly empty.
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    values = [float(f"{digit}e{decade}") for decade in decades for digit in (1, 2, 5)]
    return [value for value in values if low <= value <= high]


def _powers(base: int, low: float, high: float, max_ticks: int) -> list[float]:
    """Return powers of a base between two values, with gaps if they are too many."""
    first = math.ceil(math.log(low, base) - 1e-9)  # math.log(1000, 10) is less than 3
    last = math.floor(math.log(high, base) + 1e-9)
    stride = (last - first) // max_ticks + 1
    powers = range(-(-first // stride) * stride, last + 1, stride)
    values = [float(base) ** power for power in powers]
    return [value for value in values if low <= value <= high]


def _even_values(low: float, high: float, max_ticks: int) -> list[float]:
    """Return multiples of a round step between two values, with a limit on their number."""
    least = (high - low) / max_ticks
    power = math.floor(math.log10(least))
    step = next(
        step
        for step in (float(f"{factor}e{power + more}") for more in (0, 1) for factor in _STEPS)
        if step >= least
    )
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(count * step, 12 - power) for count in range(first, last + 1)]
