"""Contact sheet of findings, by kind, with duplicates side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from outliers_bench.apps.clean.findings import Finding
from outliers_bench.apps.clean.inspection import Inspection
from outliers_bench.apps.clean.options import KINDS
from outliers_bench.apps.clean.report import escape_unprintable
from outliers_bench.reports.sheet import FAINT, INK, IRRELEVANT, MARGIN, RELEVANT, Sheet
from outliers_bench.reports.tiles import TILE, read_photos
from outliers_bench.types import RGB

_COLUMNS = 8  # tiles
_GAP, _BETWEEN = 8, 20  # between tiles of a pair, between pairs
_ROW, _HEADING = TILE + 58, 52  # heights


class _Tile(NamedTuple):
    name: str
    caption: str


def draw_sheet(inspection: Inspection, *, max_findings: int) -> RGB | None:
    """Draw the first findings of every kind; near duplicates start with the least similar.

    Returns
    -------
    array of uint8, shape (height, width, 3), or None
        RGB; None if there is nothing to show.
    """
    sections: list[tuple[str, list[list[list[_Tile]]]]] = []
    for kind, description in KINDS.items():
        if kind == "name":
            continue
        findings = [item for item in inspection.findings if item.kind == kind]
        selected = _select(kind, findings)
        groups = [_tiles(item) for item in selected[:max_findings]]
        if groups:
            heading = f"{kind.replace('_', ' ')}: {description}   |   {len(findings):,} photos"
            if len(groups) < len(selected):
                heading += f", {len(groups):,} of {len(selected):,} shown"
            per_row = _COLUMNS // max(len(tiles) for tiles in groups)
            starts = range(0, len(groups), per_row)
            sections.append((heading, [groups[start : start + per_row] for start in starts]))
    if not sections:
        return None
    height = 2 * MARGIN + sum(_HEADING + len(rows) * _ROW for _, rows in sections)
    width = 2 * MARGIN + _COLUMNS * (TILE + _GAP) + (_COLUMNS - 1) * (_BETWEEN - _GAP)
    sheet = Sheet(width, height)
    shown = {tile.name for _, rows in sections for row in rows for tiles in row for tile in tiles}
    images = inspection.images
    at = {name: row for row, name in enumerate(images.names) if name in shown}
    photos = dict(zip(at, read_photos((images, row) for row in at.values()), strict=True))
    top = MARGIN
    for heading, rows in sections:
        sheet.write(heading, left=MARGIN, top=top + 10, size=22)
        top += _HEADING
        for row in rows:
            left = MARGIN
            for tiles in row:
                for tile in tiles:
                    moves = tile.name in inspection.to_move
                    frame = IRRELEVANT if moves else RELEVANT
                    sheet.photo(photos.get(tile.name), left=left, top=top, frame=frame)
                    details = filter(None, (tile.caption, "move" if moves else "stay"))
                    lines = [(escape_unprintable(tile.name), INK)]
                    lines += [(text, FAINT) for text in details]
                    sheet.caption(lines, left=left, top=top)
                    left += TILE + _GAP
                left += _BETWEEN - _GAP
            top += _ROW
    return sheet.pixels


def _select(kind: str, findings: Sequence[Finding]) -> Sequence[Finding]:
    if kind == "conflicting_labels":  # both photos have a finding: show the pair once
        pairs = {frozenset((item.path, item.other)): item for item in reversed(findings)}
        findings = list(pairs.values())
    if kind in ("near_duplicate", "conflicting_labels"):
        return sorted(findings, key=lambda item: (item.likeness or 0.0, item.path))
    return findings


def _tiles(item: Finding) -> list[_Tile]:
    """Return the tile of the photo and, if there is one, of the photo it was compared with."""
    if not item.other:
        return [_Tile(item.path, item.detail)]
    captions = ["", f"likeness {item.likeness:.3f}"]
    if item.kind == "conflicting_labels":
        labels = [path.rpartition("/")[0] for path in (item.path, item.other)]
        captions = [labels[0], f"{labels[1]}   {item.likeness:.3f}"]
    elif item.kind == "near_duplicate":
        captions[0] = item.detail.partition(",")[0]
    return [_Tile(item.path, captions[0]), _Tile(item.other, captions[1])]
