"""Picture of a CMC curve as SVG, which needs no library and can be printed at any size."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np
import numpy.typing as npt

from outliers_bench.evaluation.cmc import CmcCurve

WIDTH, HEIGHT = 720, 480
LEFT, RIGHT, TOP, BOTTOM = 64, 24, 76, 52  # margins of the area between the axes
# Okabe and Ito's blue and vermilion, as in the training curves.
_CURVE, _CHANCE = "#0072B2", "#D55E00"
_INK, _FAINT, _GRID = "#1C2128", "#69717A", "#E3E6EA"
_MANY = 12  # ranks from which only every fifth has a tick
_MARKED = (1, 5, 10)  # ranks whose rate is written next to the curve


def draw_cmc(curve: CmcCurve, title: str) -> str:
    """Draw a CMC curve with its 95% band and the chance level.

    Returns
    -------
    str
        An SVG document of 720 x 480 units. The vertical axis is from 0 to 1, so that two pictures
        can be compared.
    """
    n = len(curve.rates)
    ranks = np.arange(1, n + 1)
    ticks = [k for k in ranks.tolist() if k == 1 or n < _MANY or k % 5 == 0]
    band = [*_points(ranks, curve.high), *_points(ranks[::-1], curve.low[::-1])]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        _text(LEFT, 30, title, fill=_INK, size=16),
        _text(
            LEFT,
            52,
            "share of queries with a right answer among the first k, with 95% intervals "
            "(cumulative matching characteristic)",
        ),
    ]
    for value in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0):
        y = _y(value)
        parts.append(f'<path d="M{LEFT} {y}H{WIDTH - RIGHT}" stroke="{_GRID}"/>')
        parts.append(_text(LEFT - 8, y + 4, f"{value:.1f}", anchor="end"))
    parts += [
        *(_text(_x(k, n), HEIGHT - BOTTOM + 20, str(k), anchor="middle") for k in ticks),
        _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, "k", anchor="middle"),
        f'<polygon id="band" points="{" ".join(band)}" fill="{_CURVE}" fill-opacity="0.25"/>',
        _line("chance", _points(ranks, curve.chance), _CHANCE, 'stroke-dasharray="5 4"'),
        _line("rates", _points(ranks, curve.rates), _CURVE, 'stroke-width="2.2"'),
        _text(WIDTH - RIGHT, _y(curve.chance[-1]) + 32, "random order", fill=_CHANCE, anchor="end"),
    ]
    for k in (k for k in _MARKED if k <= n):
        x, rate = _x(k, n), float(curve.rates[k - 1])
        parts.append(f'<circle cx="{x}" cy="{_y(rate)}" r="3.5" fill="{_CURVE}"/>')
        # The curve rises, so there is room to the lower right of it.
        parts.append(_text(x + 7, _y(rate) + 15, f"{rate:.3f}", fill=_CURVE))
    return "\n".join([*parts, "</svg>", ""])


def _x(rank: float, n: int) -> float:
    return round(LEFT + (WIDTH - LEFT - RIGHT) * (rank - 1) / max(n - 1, 1), 2)


def _y(value: float) -> float:
    return round(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value, 2)


def _points(ranks: npt.NDArray[np.int64], values: npt.NDArray[np.float64]) -> list[str]:
    n = int(ranks.max())
    return [f"{_x(k, n)},{_y(v)}" for k, v in zip(ranks.tolist(), values.tolist(), strict=True)]


def _line(name: str, points: Sequence[str], color: str, style: str) -> str:
    return (
        f'<polyline id="{name}" points="{" ".join(points)}" fill="none" stroke="{color}" {style}/>'
    )


def _text(
    x: float, y: float, text: str, *, fill: str = _FAINT, anchor: str = "start", size: int = 12
) -> str:
    return (
        f'<text x="{x}" y="{y}" fill="{fill}" text-anchor="{anchor}" font-size="{size}">'
        f"{escape(text)}</text>"
    )
