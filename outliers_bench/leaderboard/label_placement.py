"""Where the names of dots stand in a plot: beside them, where nothing else does."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from outliers_bench.leaderboard.text_width import ABOVE, BELOW, text_width

_AWAY = (6, 16, 28, 42, 58)  # points between a dot and its name, nearest first
_DIRECTIONS = ((1, 0), (1, -1), (1, 1), (-1, 0), (-1, -1), (-1, 1), (0, 1), (0, -1))
_DOT, _BESIDE = 5, 2  # points that a dot takes to each side, and that are kept around a name
_BEFORE = 2  # points between a dot's middle and the line to it
Place = tuple[float, float]


class Box(NamedTuple):
    """A rectangle on paper, in points from its left upper corner."""

    left: float
    top: float
    right: float
    bottom: float

    def padded(self, by: float) -> Box:
        """The same, larger on each side."""
        return Box(self.left - by, self.top - by, self.right + by, self.bottom + by)

    def overlaps(self, other: Box) -> bool:
        """Whether the two share anything."""
        across = self.left <= other.right and other.left <= self.right
        return across and self.top <= other.bottom and other.top <= self.bottom

    def within(self, other: Box) -> bool:
        """Whether it lies in the other."""
        across = other.left <= self.left and self.right <= other.right
        return across and other.top <= self.top and self.bottom <= other.bottom


class Name(NamedTuple):
    """A name where it is written; `lead` is a line back to a dot that it does not stand beside."""

    text: str
    box: Box
    lead: tuple[Place, Place] | None


def place_names(
    named: Sequence[tuple[str, Place]],
    dots: Sequence[Place],
    line: Sequence[Place],
    inside: Box,
) -> list[Name]:
    """The names that find a free place.

    Parameters
    ----------
    named : sequence of (str, place)
        Names and where their dots are, the one that matters most first.
    dots, line : sequence of place
        What is not to be covered: every dot, and the corners of a line.
    inside : Box
        Where names may stand.
    """
    taken = [Box(x, y, x, y).padded(_DOT) for x, y in dots]
    taken += [
        Box(min(ax, bx), min(ay, by), max(ax, bx), max(ay, by)).padded(1)
        for (ax, ay), (bx, by) in pairwise(line)
    ]
    placed = []
    for text, dot in named:
        if (name := _placed(text, dot, inside, taken)) is not None:
            placed.append(name)
            taken.append(name.box.padded(_BESIDE))
    return placed


def _placed(text: str, dot: Place, inside: Box, taken: Sequence[Box]) -> Name | None:
    """A name in the nearest free place; None where there is none."""
    wide, high = text_width(text), ABOVE + BELOW
    for away in _AWAY:
        for right, up in _DIRECTIONS:
            left = dot[0] + right * away - (1 - right) * wide / 2
            top = dot[1] - up * away - (1 + up) * high / 2
            box = Box(left, top, left + wide, top + high)
            room = box.padded(_BESIDE)
            if room.within(inside) and not any(room.overlaps(other) for other in taken):
                return Name(text, box, None if away == _AWAY[0] else _lead(box, dot))
    return None


def _lead(box: Box, dot: Place) -> tuple[Place, Place] | None:
    """From the edge of a name to its dot, on the line from its middle."""
    room = box.padded(_BESIDE + 1)
    x, y = (box.left + box.right) / 2, (box.top + box.bottom) / 2
    across, down = dot[0] - x, dot[1] - y
    long = (across**2 + down**2) ** 0.5
    leaves = min(
        half / abs(part)
        for half, part in (((room.right - x), across), ((room.bottom - y), down))
        if part
    )
    ends = 1 - _BEFORE / long
    if leaves >= ends:
        return None
    return (x + leaves * across, y + leaves * down), (x + ends * across, y + ends * down)
