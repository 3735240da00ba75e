"""SVG drawings of lines, dots and text, to be inlined into an HTML page."""

from __future__ import annotations

from collections.abc import Iterable
from xml.etree import ElementTree as ET

from outliers_bench.leaderboard.text_width import SIZE


class Drawing:
    """An `<svg>` element, to which shapes are added from back to front.

    Colors are CSS values such as `var(--ink)`, which the style sheet of the page defines, so that
    drawings follow dark mode.

    Parameters
    ----------
    width, height : float
        Size in points.
    alt : str
        Alternative text.
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
        points: Iterable[tuple[float, float]],
        color: str,
        width: float = 1.0,
        *,
        opacity: float = 1.0,
    ) -> None:
        """Draw a line through points."""
        path = " L ".join(f"{_number(x)} {_number(y)}" for x, y in points)
        style = f"stroke: {color}; stroke-width: {_number(width)}"
        if opacity < 1:
            style += f"; stroke-opacity: {_number(opacity)}"
        ET.SubElement(self._root, "path", {"d": f"M {path}", "style": style})

    def dot(self, center: tuple[float, float], color: str, edge: str, *, title: str) -> None:
        """Draw a dot with a tooltip."""
        x, y = map(_number, center)
        style = f"fill: {color}; stroke: {edge}"
        dot = ET.SubElement(self._root, "circle", {"cx": x, "cy": y, "r": "3", "style": style})
        ET.SubElement(dot, "title").text = title

    def text(
        self,
        text: str,
        position: tuple[float, float],
        color: str,
        *,
        anchor: str = "start",
        upward: bool = False,
    ) -> None:
        """Draw text whose baseline starts, ends or is centered at a position."""
        x, y = map(_number, position)
        attributes = {"x": x, "y": y, "style": f"fill: {color}", "text-anchor": anchor}
        if upward:
            attributes["transform"] = f"rotate(-90 {x} {y})"
        ET.SubElement(self._root, "text", attributes).text = text

    def __str__(self) -> str:
        return ET.tostring(self._root, encoding="unicode")


def _number(value: float) -> str:
    """Format a number with two decimals at most."""
    return f"{value:.2f}".rstrip("0").rstrip(".")
