"""Contact sheet of near-duplicate photos that are in two parts of a split."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from outliers_bench.duplicates.pairs import Pair
from outliers_bench.leakage.find import Leaks
from outliers_bench.leakage.policy import describe_leaks
from outliers_bench.reports.tiles import (
    BGR,
    LINE,
    PAPER,
    TILE,
    Color,
    font,
    read_photo,
    text_line,
    to_bgr,
)
from outliers_bench.runtime.machine import cores
from outliers_bench.types import RGB

PAIRS = 24  # at most, on a sheet
_COLUMNS = 4
_MARGIN, _GAP, _APART, _HEADER = 24, 4, 28, 56
_LINES = 3  # of a caption
_INK, _FAINT, _BAND, _WARN = (28, 33, 40), (105, 113, 122), (243, 245, 248), (176, 42, 32)
_THREADS = 4  # each may hold an image of 400 MB


def draw_leakage_sheet(leaks: Leaks, *, name: str) -> RGB | None:
    """Draw pairs of duplicates across parts: those with two labels first, then the least similar.

    Parameters
    ----------
    leaks : Leaks
    name : str
        Name of the data set.

    Returns
    -------
    array of uint8, shape (height, width, 3), or None
        RGB. At most `PAIRS` pairs, each with parts, labels and names; None if there are no pairs.
        Only the photos shown are decoded; unreadable ones are gray.
    """
    if not leaks:
        return None
    shown = sorted(
        leaks.pairs, key=lambda pair: (not leaks.has_two_labels(pair), pair.likeness, pair.first)
    )[:PAIRS]
    rows = sorted({row for pair in shown for row in (pair.first, pair.second)})
    with ThreadPoolExecutor(min(cores(), _THREADS)) as pool:
        photos = dict(
            zip(rows, pool.map(lambda row: read_photo(leaks.images, row), rows), strict=True)
        )
    n_columns = min(_COLUMNS, len(shown))
    n_rows = -(-len(shown) // n_columns)
    width = 2 * TILE + _GAP
    height = TILE + _LINES * LINE + 2
    sheet = np.empty(
        (
            _MARGIN + _HEADER + n_rows * (height + _APART) - _APART + _MARGIN,
            max(2 * _MARGIN + n_columns * (width + _APART) - _APART, 760),
            3,
        ),
        np.uint8,
    )
    sheet[:] = PAPER[::-1]
    _draw_header(sheet, leaks, name, len(shown))
    for position, pair in enumerate(shown):
        top = _MARGIN + _HEADER + position // n_columns * (height + _APART)
        left = _MARGIN + position % n_columns * (width + _APART)
        for side, row in enumerate((pair.first, pair.second)):
            tile_left = left + side * (TILE + _GAP)
            _draw_photo(sheet, leaks, pair, row, photos[row], left=tile_left, top=top)
    return sheet[..., ::-1]


def _draw_header(sheet: BGR, leaks: Leaks, name: str, shown: int) -> None:
    from PIL import Image, ImageDraw

    band = Image.new("RGB", (sheet.shape[1] - 2 * _MARGIN, _HEADER), PAPER)
    draw = ImageDraw.Draw(band)
    draw.text((0, 0), f"{name}   |   {describe_leaks(leaks)}", fill=_INK, font=font(20))
    excerpt = "" if shown == len(leaks) else f"{shown} of them, "
    order = f"{excerpt}the least similar first; likeness is the correlation of their details"
    draw.text((0, 27), order, fill=_FAINT, font=font(14))
    sheet[_MARGIN : _MARGIN + _HEADER, _MARGIN:-_MARGIN] = to_bgr(band)


def _draw_photo(
    sheet: BGR, leaks: Leaks, pair: Pair, row: int, shown: BGR | None, *, left: int, top: int
) -> None:
    tile = sheet[top : top + TILE, left : left + TILE]
    tile[:] = (_BAND if shown is not None else (205, 208, 212))[::-1]
    if shown is not None:
        height, width = shown.shape[:2]
        y, x = (TILE - height) // 2, (TILE - width) // 2
        tile[y : y + height, x : x + width] = shown
    has_two_labels = leaks.has_two_labels(pair)
    kind = "exact" if pair.kind == "exact" else f"likeness {pair.likeness:.3f}"
    part = f"{leaks.parts[row]}, {kind}" if row == pair.first else leaks.parts[row]
    label = leaks.labels[row]
    lines: list[tuple[str, Color]] = [
        (part, _FAINT),
        (label or "", _WARN if has_two_labels else _INK),
        (leaks.images.names[row], _FAINT),
    ]
    for number, (text, ink) in enumerate(lines):
        y = top + TILE + 2 + number * LINE
        sheet[y : y + LINE, left : left + TILE] = text_line(text, ink, PAPER)
