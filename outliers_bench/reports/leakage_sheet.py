"""Contact sheet of near-duplicate photos that are in two parts of a split."""

from __future__ import annotations

from outliers_bench.duplicates.pairs import Pair
from outliers_bench.leakage.find import Leaks
from outliers_bench.leakage.policy import describe_leaks
from outliers_bench.reports.sheet import FAINT, INK, MARGIN, Sheet
from outliers_bench.reports.tiles import LINE, TILE, Color, read_photos
from outliers_bench.types import RGB

PAIRS = 24  # at most, on a sheet
_COLUMNS = 4
_GAP, _APART, _HEADER = 4, 28, 56
_LINES = 3  # of a caption
_WARN = (176, 42, 32)


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
    photos = dict(zip(rows, read_photos((leaks.images, row) for row in rows), strict=True))
    n_columns = min(_COLUMNS, len(shown))
    n_rows = -(-len(shown) // n_columns)
    width, height = 2 * TILE + _GAP, TILE + _LINES * LINE + 2
    sheet = Sheet(
        max(2 * MARGIN + n_columns * (width + _APART) - _APART, 760),
        MARGIN + _HEADER + n_rows * (height + _APART) - _APART + MARGIN,
    )
    sheet.write(f"{name}   |   {describe_leaks(leaks)}", left=MARGIN, top=MARGIN, size=20)
    excerpt = "" if len(shown) == len(leaks) else f"{len(shown)} of them, "
    order = f"{excerpt}the least similar first; likeness is the correlation of their details"
    sheet.write(order, left=MARGIN, top=MARGIN + 27, ink=FAINT)
    for position, pair in enumerate(shown):
        top = MARGIN + _HEADER + position // n_columns * (height + _APART)
        left = MARGIN + position % n_columns * (width + _APART)
        for side, row in enumerate((pair.first, pair.second)):
            tile_left = left + side * (TILE + _GAP)
            sheet.photo(photos[row], left=tile_left, top=top)
            sheet.caption(_caption(leaks, pair, row), left=tile_left, top=top)
    return sheet.pixels


def _caption(leaks: Leaks, pair: Pair, row: int) -> list[tuple[str, Color]]:
    has_two_labels = leaks.has_two_labels(pair)
    kind = "exact" if pair.kind == "exact" else f"likeness {pair.likeness:.3f}"
    part = f"{leaks.parts[row]}, {kind}" if row == pair.first else leaks.parts[row]
    label = leaks.labels[row]
    ink = _WARN if has_two_labels else INK
    return [(part, FAINT), (label or "", ink), (leaks.images.names[row], FAINT)]
