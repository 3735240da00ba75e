"""A drawing as a part of an HTML page: lines, dots and text as SVG."""

from __future__ import annotations

from collections.abc import Iterable
from xml.etree import ElementTree as ET

from outliers_bench.leaderboard.text_width import SIZE


class Drawing:
    """An `<svg>` element; what is drawn later covers what was drawn before.

    Colors are whatever CSS takes, such as `var(--ink)`: the page's style sheet gives them their
    values, so that dark mode reaches the drawing.

    Parameters
    ----------
    width, height : float
        In points.
    alt : str
        What is read out in the drawing's place.
    """

    def __init__(self, width: float, height: float, alt: str) -> None:
        self._root = ET.Element(
            "svg",
            {
                "viewBox": f"0 0 {_number(width)} {_number(height)}",
                "role": "img",
                "aria-label": alt,
                "style": f"font-size: {_number(SIZE)}px; fill: none",
            },
        )

    def line(
        self,
        places: Iterable[tuple[float, float]],
        color: str,
        width: float = 1.0,
        *,
        opacity: float = 1.0,
    ) -> None:
        """Draw a line from place to place."""
        path = " L ".join(f"{_number(x)} {_number(y)}" for x, y in places)
        style = f"stroke: {color}; stroke-width: {_number(width)}"
        if opacity < 1:
            style += f"; stroke-opacity: {_number(opacity)}"
        ET.SubElement(self._root, "path", {"d": f"M {path}", "style": style})

    def dot(self, place: tuple[float, float], color: str, edge: str, *, title: str) -> None:
        """Draw a dot that tells its title where one points at it."""
        x, y = map(_number, place)
        style = f"fill: {color}; stroke: {edge}"
        dot = ET.SubElement(self._root, "circle", {"cx": x, "cy": y, "r": "3", "style": style})
        ET.SubElement(dot, "title").text = title

    def text(
        self,
        text: str,
        place: tuple[float, float],
        color: str,
        *,
        anchor: str = "start",
        upward: bool = False,
    ) -> None:
        """Write a text that starts, ends or has its middle at a place, which is on its line."""
        x, y = map(_number, place)
        attributes = {"x": x, "y": y, "style": f"fill: {color}", "text-anchor": anchor}
        if upward:
            attributes["transform"] = f"rotate(-90 {x} {y})"
        ET.SubElement(self._root, "text", attributes).text = text

    def __str__(self) -> str:
        return ET.tostring(self._root, encoding="unicode")


def _number(value: float) -> str:
    """To a hundredth of a point, which nobody sees."""
    return f"{value:.2f}".rstrip("0").rstrip(".")
