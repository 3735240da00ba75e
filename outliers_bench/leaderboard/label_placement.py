"""Placement of the labels of dots in a plot, without overlaps."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from outliers_bench.leaderboard.text_width import ABOVE, BELOW, text_width

_DISTANCES = (6, 16, 28, 42, 58)  # points between a dot and its label, nearest first
_DIRECTIONS = ((1, 0), (1, -1), (1, 1), (-1, 0), (-1, -1), (-1, 1), (0, 1), (0, -1))
_DOT, _MARGIN = 5, 2  # points: radius reserved for a dot, and margin around a label
_LEADER_GAP = 2  # points between the center of a dot and its leader line
Point = tuple[float, float]


class Box(NamedTuple):
    """Rectangle in points, with the origin at the upper left."""

    left: float
    top: float
    right: float
    bottom: float

    def pad(self, margin: float) -> Box:
        """Return the box enlarged on each side."""
        return Box(self.left - margin, self.top - margin, self.right + margin, self.bottom + margin)

    def overlaps(self, other: Box) -> bool:
        """Check whether two boxes overlap."""
        horizontally = self.left <= other.right and other.left <= self.right
        return horizontally and self.top <= other.bottom and other.top <= self.bottom

    def is_within(self, other: Box) -> bool:
        """Check whether the box is inside another."""
        horizontally = other.left <= self.left and self.right <= other.right
        return horizontally and other.top <= self.top and self.bottom <= other.bottom


class Label(NamedTuple):
    """Placed label; `leader` is a line to its dot if it is not next to it."""

    text: str
    box: Box
    leader: tuple[Point, Point] | None


def place_labels(
    labels: Sequence[tuple[str, Point]],
    dots: Sequence[Point],
    line: Sequence[Point],
    inside: Box,
) -> list[Label]:
    """Place labels next to their dots; a label that does not fit anywhere is omitted.

    Parameters
    ----------
    labels : sequence of (str, point)
        Texts and positions of their dots, the most important first.
    dots, line : sequence of point
        Dots, and vertices of a line, that labels must not cover.
    inside : Box
        Area for labels.
    """
    taken = [Box(x, y, x, y).pad(_DOT) for x, y in dots]
    taken += [
        Box(min(ax, bx), min(ay, by), max(ax, bx), max(ay, by)).pad(1)
        for (ax, ay), (bx, by) in pairwise(line)
    ]
    placed = []
    for text, dot in labels:
        if (label := _place_label(text, dot, inside, taken)) is not None:
            placed.append(label)
            taken.append(label.box.pad(_MARGIN))
    return placed


def _place_label(text: str, dot: Point, inside: Box, taken: Sequence[Box]) -> Label | None:
    """Place a label at the nearest free position; None if there is none."""
    width, height = text_width(text), ABOVE + BELOW
    for distance in _DISTANCES:
        for right, up in _DIRECTIONS:
            left = dot[0] + right * distance - (1 - right) * width / 2
            top = dot[1] - up * distance - (1 + up) * height / 2
            box = Box(left, top, left + width, top + height)
            padded = box.pad(_MARGIN)
            if padded.is_within(inside) and not any(padded.overlaps(other) for other in taken):
                is_adjacent = distance == _DISTANCES[0]
                return Label(text, box, None if is_adjacent else _leader_line(box, dot))
    return None


def _leader_line(box: Box, dot: Point) -> tuple[Point, Point] | None:
    """Return the line from the edge of a label to its dot; None if it would have no length."""
    padded = box.pad(_MARGIN + 1)
    x, y = (box.left + box.right) / 2, (box.top + box.bottom) / 2
    dx, dy = dot[0] - x, dot[1] - y
    length = (dx**2 + dy**2) ** 0.5
    start = min(
        half / abs(part)
        for half, part in (((padded.right - x), dx), ((padded.bottom - y), dy))
        if part
    )
    end = 1 - _LEADER_GAP / length
    if start >= end:
        return None
    return (x + start * dx, y + start * dy), (x + end * dx, y + end * dy)
