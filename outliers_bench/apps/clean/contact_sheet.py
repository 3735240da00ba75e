"""Contact sheet of findings, by kind, with duplicates side by side."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from outliers_bench.apps.clean.finding_kinds import DESCRIPTIONS, KINDS, Finding, Kind
from outliers_bench.apps.clean.inspection import Inspection
from outliers_bench.apps.clean.report import escape_unprintable
from outliers_bench.reports.tiles import BGR, FRAME, INSIDE, TILE, font, read_photo, shorten
from outliers_bench.runtime.machine import cores
from outliers_bench.types import ImageSet

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

_COLUMNS = 8  # tiles
_MARGIN, _GAP, _BETWEEN = 24, 8, 20  # between tiles of a pair, between pairs
_CAPTION, _HEADING = 58, 52
_THREADS = 4  # an image in memory may take 400 MB per thread
_PAPER, _INK, _FAINT, _GRAY = (255, 255, 255), (28, 33, 40), (105, 113, 122), (205, 208, 212)
# Okabe and Ito's bluish green and vermilion; the caption names the fate, too.
_STAYS, _MOVES = (0, 158, 115), (213, 94, 0)
_SHOWN: list[Kind] = [kind for kind in KINDS if kind != "name"]


@dataclass(frozen=True)
class _Tile:
    name: str
    to_move: bool
    caption: str


def draw_sheet(inspection: Inspection, *, max_findings: int) -> Image | None:
    """Draw findings of every kind; near duplicates start with the least similar.

    Parameters
    ----------
    inspection : Inspection
    max_findings : int
        Maximum number of findings of each kind.

    Returns
    -------
    PIL image or None
        None if there is nothing to show.
    """
    from PIL import Image, ImageDraw

    sections: list[tuple[Kind, int, list[list[_Tile]]]] = []
    for kind in _SHOWN:
        findings = [item for item in inspection.findings if item.kind == kind]
        if findings and max_findings:
            selected = _select(kind, findings, max_findings)
            sections.append((kind, len(findings), [_tiles(item, inspection) for item in selected]))
    if not sections:
        return None
    rows = {kind: _rows(groups) for kind, _, groups in sections}
    row_height = TILE + _CAPTION
    height = 2 * _MARGIN + sum(_HEADING + len(rows[kind]) * row_height for kind, *_ in sections)
    width = 2 * _MARGIN + _COLUMNS * (TILE + _GAP) + (_COLUMNS - 1) * (_BETWEEN - _GAP)
    sheet = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(sheet)
    photos = _photos(inspection.images, {tile.name for *_, g in sections for t in g for tile in t})
    top = _MARGIN
    for kind, count, groups in sections:
        counts = _describe_counts(count, groups)
        heading = f"{kind.replace('_', ' ')}: {DESCRIPTIONS[kind]}   |   {counts}"
        draw.text((_MARGIN, top + 10), heading, fill=_INK, font=font(22))
        top += _HEADING
        for row in rows[kind]:
            left = _MARGIN
            for tiles in row:
                for tile in tiles:
                    _draw_tile(sheet, draw, tile, photos.get(tile.name), left=left, top=top)
                    left += TILE + _GAP
                left += _BETWEEN - _GAP
            top += row_height
    return sheet


def _describe_counts(total: int, groups: Sequence[list[_Tile]]) -> str:
    photos = f"{total:,} photo{'' if total == 1 else 's'}"
    unit = "of them"
    if max(len(tiles) for tiles in groups) > 1:
        unit = "pair" if len(groups) == 1 else "pairs"
    return photos if len(groups) == total else f"{photos}, {len(groups):,} {unit} shown"


def _select(kind: Kind, findings: Sequence[Finding], max_findings: int) -> list[Finding]:
    if kind == "near_duplicate":
        findings = sorted(findings, key=lambda item: (item.likeness or 0.0, item.path))
    if kind == "conflicting_labels":  # both photos have a finding: show the pair once
        pairs = {frozenset((item.path, item.other)): item for item in reversed(findings)}
        findings = sorted(pairs.values(), key=lambda item: (item.likeness or 0.0, item.path))
    return list(findings[:max_findings])


def _tiles(item: Finding, inspection: Inspection) -> list[_Tile]:
    """Return the tile of the photo and, if there is one, of the photo it was compared with."""
    detail = item.detail
    if item.kind == "conflicting_labels":
        detail = item.path.rpartition("/")[0]
    elif item.kind == "duplicate":
        detail = "same content"
    elif item.kind == "near_duplicate":
        detail = detail.partition(",")[0]
    tiles = [_Tile(item.path, item.path in inspection.to_move, detail)]
    if item.other:
        caption = "" if item.likeness is None else f"likeness {item.likeness:.3f}"
        if item.kind == "conflicting_labels":
            caption = f"{item.other.rpartition('/')[0]}   {item.likeness:.3f}"
        tiles.append(_Tile(item.other, item.other in inspection.to_move, caption))
    return tiles


def _rows(groups: Sequence[list[_Tile]]) -> list[list[list[_Tile]]]:
    """Split the groups into rows that fit the width of the sheet."""
    per_row = _COLUMNS // max(len(tiles) for tiles in groups)
    return [list(groups[start : start + per_row]) for start in range(0, len(groups), per_row)]


def _photos(images: ImageSet, names: AbstractSet[str]) -> dict[str, BGR | None]:
    """Return small photos by name; None if a photo cannot be decoded."""
    rows = [row for row, name in enumerate(images.names) if name in names]
    with ThreadPoolExecutor(min(cores(), _THREADS)) as pool:
        photos = pool.map(lambda row: read_photo(images, row), rows)
        return dict(zip((images.names[row] for row in rows), photos, strict=True))


def _draw_tile(
    sheet: Image, draw: ImageDraw, tile: _Tile, pixels: BGR | None, *, left: int, top: int
) -> None:
    from PIL import Image

    box = (left, top, left + TILE - 1, top + TILE - 1)
    draw.rectangle(box, fill=_MOVES if tile.to_move else _STAYS)
    inner = (left + FRAME, top + FRAME, left + TILE - FRAME - 1, top + TILE - FRAME - 1)
    draw.rectangle(inner, fill=_GRAY)
    if pixels is None:
        center = (left + TILE / 2, top + TILE / 2)
        draw.text(center, "not decoded", fill=_INK, font=font(14), anchor="mm")
    else:
        height, width = pixels.shape[:2]
        corner = left + FRAME + (INSIDE - width) // 2, top + FRAME + (INSIDE - height) // 2
        sheet.paste(Image.fromarray(pixels[..., ::-1].copy()), corner)
    lines = [(escape_unprintable(tile.name), _INK)]
    if tile.caption:
        lines.append((tile.caption, _FAINT))
    lines.append(("move" if tile.to_move else "stay", _FAINT))
    for number, (text, ink) in enumerate(lines):
        at = left + 1, top + TILE + 1 + 17 * number
        draw.text(at, shorten(text, TILE - 2), fill=ink, font=font(14))
