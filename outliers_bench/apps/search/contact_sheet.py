"""Contact sheet of a search: each query next to its hits, best first, in rows of ten."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from outliers_bench.data.opencv import opencv
from outliers_bench.errors import BenchError
from outliers_bench.reports.sheet import BAND, FAINT, INK, MARGIN, Sheet
from outliers_bench.reports.tiles import LINE, TILE, read_photos
from outliers_bench.runtime.progress import track
from outliers_bench.store.files import write_atomically
from outliers_bench.types import RGB, ImageSet

if TYPE_CHECKING:
    from outliers_bench.serving.engine import Hit

COLUMNS = 10  # hits per row
MAX_ROWS = 60  # of tiles; viewers and the JPEG format limit the height of an image
SUFFIXES = (".jpg", ".jpeg", ".png")
_GAP, _HEADER = 10, 44
_QUERY_GAP = 24  # between a query and its hits
_LINES = 3  # of a caption
_TOP = MARGIN + _HEADER
_ROW_HEIGHT = TILE + _LINES * LINE + _GAP  # including the gap
_QUALITY = 90


def check_sheet(path: Path) -> None:
    """Raise `BenchError` if a contact sheet cannot be written to a path."""
    if path.suffix.lower() not in SUFFIXES:
        suffixes = ", ".join(SUFFIXES)
        raise BenchError(f"sheet={path}: the suffix must be one of {suffixes}; or use sheet=null")
    if path.is_dir():
        raise BenchError(f"sheet={path} is a folder; choose a file in it")
    if not path.parent.is_dir():
        raise BenchError(
            f"sheet={path}: there is no folder {path.parent}; create it, or use sheet=null"
        )


def write_sheet(
    hits: dict[Path, list[Hit]],
    path: Path,
    *,
    queries: ImageSet,
    gallery: ImageSet,
    heading: str,
) -> int:
    """Draw a contact sheet and write it atomically; return the number of queries on it.

    The first queries are drawn, up to `MAX_ROWS` rows. `queries` are named by their paths.
    Raises `BenchError` if the sheet, a JPEG or PNG, cannot be written.
    """
    indices = {name: index for index, name in enumerate(queries.names)}
    rows: list[_Row] = []
    drawn = 0
    for query, found in hits.items():
        starts = range(0, max(1, len(found)), COLUMNS)
        if rows and len(rows) + len(starts) > MAX_ROWS:
            break
        index = indices[str(query)]
        rows += [_Row(None if at else index, at, found[at : at + COLUMNS]) for at in starts]
        drawn += 1
    del rows[MAX_ROWS:]
    n_columns = max(len(row.hits) for row in rows)
    width = 2 * MARGIN + TILE + _QUERY_GAP + n_columns * (TILE + _GAP) - _GAP
    sheet = Sheet(width, _TOP + len(rows) * _ROW_HEIGHT + MARGIN - _GAP)
    band = MARGIN + TILE + _QUERY_GAP // 2
    height = len(sheet.pixels)
    sheet.fill(BAND, left=0, top=_TOP - _GAP, width=band, height=height)
    sheet.write(heading, left=MARGIN, top=MARGIN - 6, width=width - 2 * MARGIN, size=20)
    images = [
        image
        for row in rows
        for image in (
            *([] if row.query is None else [(queries, row.query)]),
            *((gallery, hit.row) for hit in row.hits),
        )
    ]
    with closing(read_photos(images)) as photos:
        steps = track(rows, stage="sheet", total=len(rows), unit="rows")
        for number, row in enumerate(steps):
            name = None if row.query is None else Path(queries.names[row.query]).name
            _draw(sheet, row, name, photos, top=_TOP + number * _ROW_HEIGHT)
    _write(sheet.pixels, path)
    return drawn


class _Row(NamedTuple):
    """A row of hits, the first one of a query with the query."""

    query: int | None
    start: int  # position of the first hit
    hits: list[Hit]


def _draw(
    sheet: Sheet, row: _Row, query: str | None, photos: Iterator[RGB | None], *, top: int
) -> None:
    if query is not None:
        sheet.photo(next(photos), left=MARGIN, top=top)
        sheet.caption([(query, INK)], left=MARGIN, top=top, paper=BAND)
    for column, hit in enumerate(row.hits):
        left = MARGIN + TILE + _QUERY_GAP + column * (TILE + _GAP)
        sheet.photo(next(photos), left=left, top=top)
        score = f"{row.start + column + 1}.   {hit.score:.3f}"
        lines = [(score, INK), (hit.label or "", INK), (Path(hit.name).name, FAINT)]
        sheet.caption(lines, left=left, top=top)


def _write(sheet: RGB, path: Path) -> None:
    cv2 = opencv()
    pixels = cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR)
    encoded, data = cv2.imencode(path.suffix.lower(), pixels, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    if not encoded:
        raise BenchError(
            f"sheet={path}: it is too large; search for fewer photos, or use sheet=null"
        )
    try:
        with write_atomically(path) as temporary:
            temporary.write_bytes(data)
    except OSError as error:
        raise BenchError(f"sheet={path} cannot be written ({error.strerror})") from None
