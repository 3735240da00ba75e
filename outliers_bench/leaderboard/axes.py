"""The axes of accuracy against cost: limits, and round numbers beside them that can be read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from outliers_bench.leaderboard.columns import number
from outliers_bench.leaderboard.text_width import text_width

_GAP = 4.0  # points between two numbers
_FEW = 5  # largest over smallest; below, powers would be too few ticks
_MANY = 1e3
_STEPS = (1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0)  # times a power of ten
_MOST_POWERS, _MOST_BINARY, _MOST_ACROSS, _MOST_UP = 12, 7, 5, 6


@dataclass(frozen=True)
class Axis:
    """Values from `low` to `high`, on paper from `start` to `end`, which are points."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def at(self, value: float) -> float:
        """Where a value stands on paper."""
        low, high, value = (
            map(math.log, (self.low, self.high, value))
            if self.logarithmic
            else (self.low, self.high, value)
        )
        return self.start + (value - low) / (high - low) * (self.end - self.start)


def cost_limits(values: Sequence[float]) -> tuple[float, float]:
    """Both ends of a logarithmic axis, with room around the values."""
    low, high = min(values), max(values)
    room = max(high / low, 4.0) ** 0.16
    return low / room, high * room


def score_limits(values: Sequence[float]) -> tuple[float, float]:
    """Both ends of an axis, with room around the values."""
    low, high = min(values), max(values)
    margin = max(0.12 * (high - low), 0.01 * abs(high), 1e-3)
    return low - margin, high + margin


def score_ticks(low: float, high: float) -> list[tuple[float, str]]:
    """Round numbers between two, each as it is written."""
    return [(value, f"{value:.6g}") for value in _evenly(low, high, _MOST_UP)]


def cost_ticks(axis: Axis, cost: str, *, paper: float) -> list[tuple[float, str]]:
    """Round numbers on the axis of a cost, each as it is written, with room for every one.

    Parameters
    ----------
    axis : Axis
        From left to right.
    cost : str
        What it counts.
    paper : float
        Where the paper ends, in points.
    """
    shown, end = [], 0.0
    for value in _values(axis.low, axis.high, cost):
        text = number(cost, value).replace(".0 ", " ")
        half = text_width(text) / 2
        if axis.at(value) - half >= end and axis.at(value) + half <= paper:
            shown.append((value, text))
            end = axis.at(value) + half + _GAP
    return shown


def _values(low: float, high: float, cost: str) -> list[float]:
    """Round numbers between two: powers where they are many, else as on a linear axis."""
    binary = cost.endswith("_bytes")
    if high / low < _FEW:
        unit = 1024.0 ** int(math.log(max(low, 1.0), 1024)) if binary else 1.0
        return [unit * value for value in _evenly(low / unit, high / unit, _MOST_ACROSS)]
    if binary:
        return _powers(2, low, high, _MOST_BINARY)
    if high / low >= _MANY:
        return _powers(10, low, high, _MOST_POWERS)
    # Two or three numbers in each decade: one alone would leave the axis nearly bare.
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    found = [float(f"{digit}e{decade}") for decade in decades for digit in (1, 2, 5)]
    return [value for value in found if low <= value <= high]


def _powers(base: int, low: float, high: float, most: int) -> list[float]:
    first = math.ceil(math.log(low, base) - 1e-9)  # the logarithm of 1,000 is less than 3
    last = math.floor(math.log(high, base) + 1e-9)
    stride = (last - first) // most + 1
    powers = range(-(-first // stride) * stride, last + 1, stride)
    found = [float(base) ** power for power in powers]
    return [value for value in found if low <= value <= high]


def _evenly(low: float, high: float, most: int) -> list[float]:
    """Multiples of a round step between two numbers, so many steps at most."""
    needed = (high - low) / most
    power = math.floor(math.log10(needed))
    step = next(
        step
        for step in (float(f"{factor}e{power + more}") for more in (0, 1) for factor in _STEPS)
        if step >= needed
    )
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(count * step, 12 - power) for count in range(first, last + 1)]
