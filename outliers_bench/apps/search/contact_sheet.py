"""Contact sheet of a search: each query next to its hits, best first, in rows of ten."""

from __future__ import annotations

from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from outliers_bench.data.opencv import opencv
from outliers_bench.errors import BenchError
from outliers_bench.reports.tiles import (
    BGR,
    LINE,
    PAPER,
    TILE,
    font,
    read_photo,
    shorten,
    text_line,
    to_bgr,
)
from outliers_bench.runtime.machine import cores
from outliers_bench.runtime.progress import track
from outliers_bench.store.files import write_atomically
from outliers_bench.types import ImageSet

if TYPE_CHECKING:
    from outliers_bench.serving.engine import Hit

COLUMNS = 10  # hits per row
MAX_ROWS = 60  # of tiles; viewers and the JPEG format limit the height of an image
SUFFIXES = (".jpg", ".jpeg", ".png")
_MARGIN, _GAP, _HEADER = 24, 10, 44
_QUERY_GAP = 24  # between a query and its hits
_LINES = 3  # of a caption
_INK, _FAINT, _BAND = (28, 33, 40), (105, 113, 122), (243, 245, 248)
_TOP = _MARGIN + _HEADER
_ROW_HEIGHT = TILE + _LINES * LINE + _GAP  # including the gap
_QUALITY = 90
_THREADS = 4


def check_sheet(path: Path) -> None:
    """Check that a contact sheet can be written to a path.

    Raises
    ------
    BenchError
        If the suffix is not that of an image, the path is a folder, or its folder does not exist.
    """
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
    """Draw a contact sheet and write it atomically.

    Parameters
    ----------
    hits : dict of Path to list of Hit
        Hits of each query; the first queries are drawn, up to `MAX_ROWS` rows.
    path : Path
        JPEG or PNG, by its suffix.
    queries : ImageSet
        The query photos, named by their paths.
    gallery : ImageSet
        The gallery. Unreadable photos are gray.
    heading : str
        Heading of the sheet.

    Returns
    -------
    int
        Number of queries on the sheet.

    Raises
    ------
    BenchError
        If the sheet cannot be written.
    """
    indices = {name: index for index, name in enumerate(queries.names)}
    sections, total_rows = [], 0
    for query, found in hits.items():
        n_rows = min(max(1, -(-len(found) // COLUMNS)), MAX_ROWS)
        if total_rows + n_rows > MAX_ROWS:
            break
        section = _Section(queries, indices[str(query)], found[: n_rows * COLUMNS], gallery)
        sections.append((section, total_rows))
        total_rows += n_rows
    n_columns = min(COLUMNS, max(len(section.hits) for section, _ in sections))
    width = 2 * _MARGIN + TILE + _QUERY_GAP + n_columns * (TILE + _GAP) - _GAP
    sheet = np.full((_TOP + total_rows * _ROW_HEIGHT + _MARGIN - _GAP, width, 3), PAPER, np.uint8)
    sheet[_TOP - _GAP :, : _MARGIN + TILE + _QUERY_GAP // 2] = _BAND[::-1]
    _write_heading(sheet, heading)
    with ThreadPoolExecutor(min(cores(), _THREADS)) as pool:
        steps = track(sections, stage="sheet", total=len(sections), unit="queries")
        for section, first_row in steps:
            _draw(sheet, section, section.photos(pool), top=_TOP + first_row * _ROW_HEIGHT)
    _write(sheet, path)
    return len(sections)


class _Section(NamedTuple):
    """A query and its hits."""

    queries: ImageSet
    query: int
    hits: list[Hit]
    gallery: ImageSet

    def photos(self, pool: Executor) -> list[BGR | None]:
        """Return the small photos of the query and its hits; None for an unreadable one."""
        images = [(self.queries, self.query), *((self.gallery, hit.row) for hit in self.hits)]
        return list(pool.map(lambda image: read_photo(*image), images))


def _draw(sheet: BGR, section: _Section, photos: list[BGR | None], *, top: int) -> None:
    name = Path(section.queries.names[section.query]).name
    _draw_tile(sheet, photos[0], _MARGIN, top, (text_line(name, _INK, _BAND),))
    for position, (hit, pixels) in enumerate(zip(section.hits, photos[1:], strict=True)):
        row, column = divmod(position, COLUMNS)
        captions = (
            text_line(f"{position + 1}.   {hit.score:.3f}", _INK, PAPER),
            text_line(hit.label or "", _INK, PAPER),
            text_line(Path(hit.name).name, _FAINT, PAPER),
        )
        left = _MARGIN + TILE + _QUERY_GAP + column * (TILE + _GAP)
        _draw_tile(sheet, pixels, left, top + row * _ROW_HEIGHT, captions)


def _draw_tile(
    sheet: BGR, pixels: BGR | None, left: int, top: int, captions: tuple[BGR, ...]
) -> None:
    if pixels is None:
        pixels = text_line("cannot be read", _FAINT, _BAND)
    height, width = pixels.shape[:2]
    y, x = top + (TILE - height) // 2, left + (TILE - width) // 2
    sheet[y : y + height, x : x + width] = pixels
    for number, strip in enumerate(captions):
        y = top + TILE + 2 + number * LINE
        sheet[y : y + strip.shape[0], left : left + strip.shape[1]] = strip


def _write_heading(sheet: BGR, heading: str) -> None:
    from PIL import Image, ImageDraw

    width = sheet.shape[1] - 2 * _MARGIN
    band = Image.new("RGB", (width, 28), PAPER)
    text = shorten(heading, width, size=20)
    ImageDraw.Draw(band).text((0, 0), text, fill=_INK, font=font(20))
    sheet[_MARGIN - 6 : _MARGIN + 22, _MARGIN : _MARGIN + width] = to_bgr(band)


def _write(sheet: BGR, path: Path) -> None:
    cv2 = opencv()
    encoded, data = cv2.imencode(path.suffix.lower(), sheet, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    if not encoded:
        raise BenchError(
            f"sheet={path}: it is too large; search for fewer photos, or use sheet=null"
        )
    try:
        with write_atomically(path) as temporary:
            temporary.write_bytes(data)
    except OSError as error:
        raise BenchError(f"sheet={path} cannot be written ({error.strerror})") from None
