"""A contact sheet of what was found: by kind, photos that are alike side by side."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from outliers_bench.apps.clean.finding_kinds import KINDS, MEANINGS, Finding, Kind
from outliers_bench.apps.clean.inspection import Inspection
from outliers_bench.apps.clean.report import printable
from outliers_bench.reports.tiles import BGR, FRAME, INSIDE, TILE, font, photo, shortened
from outliers_bench.runtime.machine import cores
from outliers_bench.types import ImageSet

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

_COLUMNS = 8  # tiles
_MARGIN, _GAP, _BETWEEN = 24, 8, 20  # between tiles of a pair, between pairs
_CAPTION, _HEADING = 58, 52
_THREADS = 4  # each may hold an image of 400 MB
_PAPER, _INK, _FAINT, _GRAY = (255, 255, 255), (28, 33, 40), (105, 113, 122), (205, 208, 212)
# Okabe and Ito's bluish green and vermilion; the caption says it, too.
_STAYS, _GOES = (0, 158, 115), (213, 94, 0)
_PICTURED = [kind for kind in KINDS if kind != "name"]


@dataclass(frozen=True)
class _Tile:
    name: str
    goes: bool
    lines: tuple[str, ...]


def draw_sheet(inspection: Inspection, *, each: int) -> Image | None:
    """Draw some findings of every kind; of near duplicates those that are least alike.

    Parameters
    ----------
    inspection : Inspection
    each : int
        Findings of each kind, at most.

    Returns
    -------
    PIL image or None
        None if there is nothing to show.
    """
    from PIL import Image, ImageDraw

    sections: list[tuple[Kind, int, list[list[_Tile]]]] = [
        (kind, len(found), [_tiles(item, inspection) for item in _chosen(kind, found, each)])
        for kind in _PICTURED
        if each and (found := [item for item in inspection.findings if item.kind == kind])
    ]
    if not sections:
        return None
    rows = {kind: _rows(groups) for kind, _, groups in sections}
    high = TILE + _CAPTION
    height = 2 * _MARGIN + sum(_HEADING + len(rows[kind]) * high for kind, *_ in sections)
    width = 2 * _MARGIN + _COLUMNS * (TILE + _GAP) + (_COLUMNS - 1) * (_BETWEEN - _GAP)
    sheet = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(sheet)
    shown = _photos(inspection.images, {tile.name for *_, g in sections for t in g for tile in t})
    top = _MARGIN
    for kind, count, groups in sections:
        heading = f"{kind.replace('_', ' ')}: {MEANINGS[kind]}   |   {_count(count, groups)}"
        draw.text((_MARGIN, top + 10), heading, fill=_INK, font=font(22))
        top += _HEADING
        for row in rows[kind]:
            left = _MARGIN
            for tiles in row:
                for tile in tiles:
                    _draw_tile(sheet, draw, tile, shown.get(tile.name), left=left, top=top)
                    left += TILE + _GAP
                left += _BETWEEN - _GAP
            top += high
    return sheet


def _count(found: int, groups: Sequence[list[_Tile]]) -> str:
    photos = f"{found:,} photo{'' if found == 1 else 's'}"
    unit = "of them"
    if max(len(tiles) for tiles in groups) > 1:
        unit = "pair" if len(groups) == 1 else "pairs"
    return photos if len(groups) == found else f"{photos}, {len(groups):,} {unit} shown"


def _chosen(kind: Kind, found: Sequence[Finding], each: int) -> list[Finding]:
    if kind == "near_duplicate":
        found = sorted(found, key=lambda item: (item.likeness or 0.0, item.path))
    if kind == "conflicting_labels":  # both sides name each other: one pair is enough
        pairs = {frozenset((item.path, item.other)): item for item in reversed(found)}
        found = sorted(pairs.values(), key=lambda item: (item.likeness or 0.0, item.path))
    return list(found[:each])


def _tiles(item: Finding, inspection: Inspection) -> list[_Tile]:
    """The photo, and the one it was compared with."""
    detail = item.detail
    if item.kind == "conflicting_labels":
        detail = item.path.rpartition("/")[0]
    elif item.kind == "duplicate":
        detail = "same content"
    elif item.kind == "near_duplicate":
        detail = detail.partition(",")[0]
    tiles = [_Tile(item.path, item.path in inspection.going, (detail,))]
    if item.other:
        likeness = "" if item.likeness is None else f"likeness {item.likeness:.3f}"
        if item.kind == "conflicting_labels":
            likeness = f"{item.other.rpartition('/')[0]}   {item.likeness:.3f}"
        tiles.append(_Tile(item.other, item.other in inspection.going, (likeness,)))
    return tiles


def _rows(groups: Sequence[list[_Tile]]) -> list[list[list[_Tile]]]:
    """So many groups a row as there is room for."""
    across = _COLUMNS // max(len(tiles) for tiles in groups)
    return [list(groups[start : start + across]) for start in range(0, len(groups), across)]


def _photos(images: ImageSet, names: AbstractSet[str]) -> dict[str, BGR | None]:
    """Small pictures by name; None for what cannot be decoded."""
    rows = [row for row, name in enumerate(images.names) if name in names]
    with ThreadPoolExecutor(min(cores(), _THREADS)) as pool:
        made = pool.map(lambda row: photo(images, row), rows)
        return dict(zip((images.names[row] for row in rows), made, strict=True))


def _draw_tile(
    sheet: Image, draw: ImageDraw, tile: _Tile, pixels: BGR | None, *, left: int, top: int
) -> None:
    from PIL import Image

    box = (left, top, left + TILE - 1, top + TILE - 1)
    draw.rectangle(box, fill=_GOES if tile.goes else _STAYS)
    inner = (left + FRAME, top + FRAME, left + TILE - FRAME - 1, top + TILE - FRAME - 1)
    draw.rectangle(inner, fill=_GRAY)
    if pixels is None:
        middle = (left + TILE / 2, top + TILE / 2)
        draw.text(middle, "not decoded", fill=_INK, font=font(14), anchor="mm")
    else:
        high, wide = pixels.shape[:2]
        place = left + FRAME + (INSIDE - wide) // 2, top + FRAME + (INSIDE - high) // 2
        sheet.paste(Image.fromarray(pixels[..., ::-1].copy()), place)
    lines = [(printable(tile.name), _INK), ("goes" if tile.goes else "stays", _FAINT)]
    lines[1:1] = [(line, _FAINT) for line in tile.lines if line]
    for number, (text, ink) in enumerate(lines):
        at = left + 1, top + TILE + 1 + 17 * number
        draw.text(at, shortened(text, TILE - 2), fill=ink, font=font(14))
