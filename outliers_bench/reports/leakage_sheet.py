"""Photos that stand in two parts of a split, side by side, as a picture."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from outliers_bench.duplicates.pairs import Pair
from outliers_bench.leakage.find import Leaks
from outliers_bench.leakage.policy import describe_leaks
from outliers_bench.reports.tiles import BGR, LINE, PAPER, TILE, Color, bgr, font, line, photo
from outliers_bench.runtime.machine import cores
from outliers_bench.types import RGB

PAIRS = 24  # on the sheet
_COLUMNS = 4
_MARGIN, _GAP, _APART, _HEADER = 24, 4, 28, 56
_LINES = 3  # of a caption
_INK, _FAINT, _BAND, _WARN = (28, 33, 40), (105, 113, 122), (243, 245, 248), (176, 42, 32)
_THREADS = 4  # each may hold an image of 400 MB


def leaks_sheet(leaks: Leaks, *, name: str) -> RGB | None:
    """Draw pairs of photos that stand in two parts: two labels first, then the least alike.

    Parameters
    ----------
    leaks : Leaks
    name : str
        The data set's.

    Returns
    -------
    array of uint8, shape (height, width, 3), or None
        RGB. At most `PAIRS` pairs, each with parts, labels and names; None where there are none.
        Only the photos shown are decoded; unreadable ones are gray.
    """
    if not leaks:
        return None
    shown = sorted(
        leaks.pairs, key=lambda pair: (not leaks.two_labels(pair), pair.likeness, pair.first)
    )[:PAIRS]
    rows = sorted({row for pair in shown for row in (pair.first, pair.second)})
    with ThreadPoolExecutor(min(cores(), _THREADS)) as pool:
        photos = dict(zip(rows, pool.map(lambda row: photo(leaks.images, row), rows), strict=True))
    across = min(_COLUMNS, len(shown))
    down = -(-len(shown) // across)
    wide = 2 * TILE + _GAP
    high = TILE + _LINES * LINE + 2
    sheet = np.empty(
        (
            _MARGIN + _HEADER + down * (high + _APART) - _APART + _MARGIN,
            max(2 * _MARGIN + across * (wide + _APART) - _APART, 760),
            3,
        ),
        np.uint8,
    )
    sheet[:] = PAPER[::-1]
    _head(sheet, leaks, name, len(shown))
    for at, pair in enumerate(shown):
        top = _MARGIN + _HEADER + at // across * (high + _APART)
        left = _MARGIN + at % across * (wide + _APART)
        for side, row in enumerate((pair.first, pair.second)):
            place = left + side * (TILE + _GAP)
            _draw(sheet, leaks, pair, row, photos[row], left=place, top=top)
    return sheet[..., ::-1]


def _head(sheet: BGR, leaks: Leaks, name: str, shown: int) -> None:
    from PIL import Image, ImageDraw

    band = Image.new("RGB", (sheet.shape[1] - 2 * _MARGIN, _HEADER), PAPER)
    draw = ImageDraw.Draw(band)
    draw.text((0, 0), f"{name}   |   {describe_leaks(leaks)}", fill=_INK, font=font(20))
    which = "" if shown == len(leaks) else f"{shown} of them, "
    order = f"{which}the least alike first; likeness is the correlation of their details"
    draw.text((0, 27), order, fill=_FAINT, font=font(14))
    sheet[_MARGIN : _MARGIN + _HEADER, _MARGIN:-_MARGIN] = bgr(band)


def _draw(
    sheet: BGR, leaks: Leaks, pair: Pair, row: int, shown: BGR | None, *, left: int, top: int
) -> None:
    tile = sheet[top : top + TILE, left : left + TILE]
    tile[:] = (_BAND if shown is not None else (205, 208, 212))[::-1]
    if shown is not None:
        high, wide = shown.shape[:2]
        y, x = (TILE - high) // 2, (TILE - wide) // 2
        tile[y : y + high, x : x + wide] = shown
    two = leaks.two_labels(pair)
    how = "exact" if pair.kind == "exact" else f"likeness {pair.likeness:.3f}"
    told = f"{leaks.parts[row]}, {how}" if row == pair.first else leaks.parts[row]
    label = leaks.labels[row]
    lines: list[tuple[str, Color]] = [
        (told, _FAINT),
        (label or "", _WARN if two else _INK),
        (leaks.images.names[row], _FAINT),
    ]
    for number, (text, ink) in enumerate(lines):
        y = top + TILE + 2 + number * LINE
        sheet[y : y + LINE, left : left + TILE] = line(text, ink, PAPER)
