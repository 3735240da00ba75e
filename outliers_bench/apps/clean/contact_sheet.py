"""Contact sheet of findings, by kind, with duplicates side by side."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from outliers_bench.apps.clean.finding_kinds import DESCRIPTIONS, KINDS, Finding, Kind
from outliers_bench.apps.clean.inspection import Inspection
from outliers_bench.apps.clean.report import escape_unprintable
from outliers_bench.reports.sheet import FAINT, INK, IRRELEVANT, MARGIN, RELEVANT, Sheet
from outliers_bench.reports.tiles import BGR, PAPER, TILE, read_photos, text_line
from outliers_bench.types import RGB, ImageSet

_COLUMNS = 8  # tiles
_GAP, _BETWEEN = 8, 20  # between tiles of a pair, between pairs
_CAPTION, _HEADING = 58, 52
_SHOWN: list[Kind] = [kind for kind in KINDS if kind != "name"]


@dataclass(frozen=True)
class _Tile:
    name: str
    to_move: bool
    caption: str


def draw_sheet(inspection: Inspection, *, max_findings: int) -> RGB | None:
    """Draw findings of every kind; near duplicates start with the least similar.

    Parameters
    ----------
    inspection : Inspection
    max_findings : int
        Maximum number of findings of each kind.

    Returns
    -------
    array of uint8, shape (height, width, 3), or None
        RGB; None if there is nothing to show.
    """
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
    height = 2 * MARGIN + sum(_HEADING + len(rows[kind]) * row_height for kind, *_ in sections)
    width = 2 * MARGIN + _COLUMNS * (TILE + _GAP) + (_COLUMNS - 1) * (_BETWEEN - _GAP)
    sheet = Sheet(width, height)
    photos = _photos(inspection.images, {tile.name for *_, g in sections for t in g for tile in t})
    top = MARGIN
    for kind, count, groups in sections:
        counts = _describe_counts(count, groups)
        heading = f"{kind.replace('_', ' ')}: {DESCRIPTIONS[kind]}   |   {counts}"
        sheet.write(heading, left=MARGIN, top=top + 10, size=22)
        top += _HEADING
        for row in rows[kind]:
            left = MARGIN
            for tiles in row:
                for tile in tiles:
                    frame = IRRELEVANT if tile.to_move else RELEVANT
                    sheet.photo(photos.get(tile.name), left=left, top=top, frame=frame)
                    sheet.caption(_caption(tile), left=left, top=top)
                    left += TILE + _GAP
                left += _BETWEEN - _GAP
            top += row_height
    return sheet.rgb


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
    photos = read_photos((images, row) for row in rows)
    return dict(zip((images.names[row] for row in rows), photos, strict=True))


def _caption(tile: _Tile) -> list[BGR]:
    """Return the lines below a tile; the last one tells what its color means."""
    details = filter(None, (tile.caption, "move" if tile.to_move else "stay"))
    name = text_line(escape_unprintable(tile.name), INK, PAPER)
    return [name, *(text_line(text, FAINT, PAPER) for text in details)]
