"""What was found, as a picture: each photo beside its hits, best first, in rows of ten."""

from __future__ import annotations

from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from outliers_bench.data.opencv import opencv
from outliers_bench.errors import BenchError
from outliers_bench.reports.tiles import BGR, LINE, PAPER, TILE, to_bgr, font, text_line, read_photo, shorten
from outliers_bench.runtime.machine import cores
from outliers_bench.runtime.progress import track
from outliers_bench.store.files import write_atomically
from outliers_bench.types import ImageSet

if TYPE_CHECKING:
    from outliers_bench.serving.engine import Hit

ACROSS = 10  # hits in a row
MOST_ROWS = 60  # of tiles; a taller picture is more than viewers show, and JPEG has an end too
SUFFIXES = (".jpg", ".jpeg", ".png")
_MARGIN, _GAP, _HEADER = 24, 10, 44
_ASIDE = 24  # between a photo and its hits
_LINES = 3  # of a caption
_INK, _FAINT, _BAND = (28, 33, 40), (105, 113, 122), (243, 245, 248)
_TOP = _MARGIN + _HEADER
_DOWN = TILE + _LINES * LINE + _GAP  # from one row of tiles to the next
_QUALITY = 90
_THREADS = 4


def check_sheet(path: Path) -> None:
    """Refuse a place where no picture can be written.

    Raises
    ------
    BenchError
        If its suffix is none of a picture, it is a folder, or its folder does not exist.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise BenchError(f"sheet={path}: a picture is named {', '.join(SUFFIXES)}; or sheet=null")
    if path.is_dir():
        raise BenchError(f"sheet={path} is a folder; name a file in it")
    if not path.parent.is_dir():
        raise BenchError(f"sheet={path}: there is no folder {path.parent}; make it, or sheet=null")


def write_sheet(
    hits: dict[Path, list[Hit]],
    path: Path,
    *,
    queries: ImageSet,
    gallery: ImageSet,
    heading: str,
) -> int:
    """Draw what was found, and write it in one step.

    Parameters
    ----------
    hits : dict of Path to list of Hit
        For each photo; the first ones are drawn, up to `MOST_ROWS` rows.
    path : Path
        JPEG or PNG, by its suffix.
    queries : ImageSet
        The photos that were searched for, named by their paths.
    gallery : ImageSet
        What was searched. Unreadable photos are gray.
    heading : str
        Stands above.

    Returns
    -------
    int
        How many of the photos are on the sheet.

    Raises
    ------
    BenchError
        If it cannot be written.
    """
    rows = {name: row for row, name in enumerate(queries.names)}
    shown, down = [], 0
    for asked, found in hits.items():
        high = min(max(1, -(-len(found) // ACROSS)), MOST_ROWS)
        if down + high > MOST_ROWS:
            break
        shown.append((_Row(queries, rows[str(asked)], found[: high * ACROSS], gallery), down))
        down += high
    across = min(ACROSS, max(len(row.hits) for row, _ in shown))
    width = 2 * _MARGIN + TILE + _ASIDE + across * (TILE + _GAP) - _GAP
    sheet = np.full((_TOP + down * _DOWN + _MARGIN - _GAP, width, 3), PAPER, np.uint8)
    sheet[_TOP - _GAP :, : _MARGIN + TILE + _ASIDE // 2] = _BAND[::-1]
    _write_heading(sheet, heading)
    with ThreadPoolExecutor(min(cores(), _THREADS)) as pool:
        for row, before in track(shown, stage="sheet", total=len(shown), unit="queries"):
            _draw(sheet, row, row.photos(pool), top=_TOP + before * _DOWN)
    _write(sheet, path)
    return len(shown)


class _Row(NamedTuple):
    """A photo that was searched for, and what was found."""

    queries: ImageSet
    query: int
    hits: list[Hit]
    gallery: ImageSet

    def photos(self, pool: Executor) -> list[BGR | None]:
        """Its tiles, the photo's own first; None where one cannot be read."""
        wanted = [(self.queries, self.query), *((self.gallery, hit.row) for hit in self.hits)]
        return list(pool.map(lambda image: read_photo(*image), wanted))


def _draw(sheet: BGR, row: _Row, photos: list[BGR | None], *, top: int) -> None:
    name = Path(row.queries.names[row.query]).name
    _tile(sheet, photos[0], _MARGIN, top, (text_line(name, _INK, _BAND),))
    for place, (hit, pixels) in enumerate(zip(row.hits, photos[1:], strict=True)):
        down, along = divmod(place, ACROSS)
        captions = (
            text_line(f"{place + 1}.   {hit.score:.3f}", _INK, PAPER),
            text_line(hit.label or "", _INK, PAPER),
            text_line(Path(hit.name).name, _FAINT, PAPER),
        )
        left = _MARGIN + TILE + _ASIDE + along * (TILE + _GAP)
        _tile(sheet, pixels, left, top + down * _DOWN, captions)


def _tile(sheet: BGR, pixels: BGR | None, left: int, top: int, captions: tuple[BGR, ...]) -> None:
    if pixels is None:
        pixels = text_line("cannot be read", _FAINT, _BAND)
    high, wide = pixels.shape[:2]
    y, x = top + (TILE - high) // 2, left + (TILE - wide) // 2
    sheet[y : y + high, x : x + wide] = pixels
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
        raise BenchError(f"sheet={path}: it is too large; ask for fewer photos, or sheet=null")
    try:
        with write_atomically(path) as aside:
            aside.write_bytes(data)
    except OSError as error:
        raise BenchError(f"sheet={path} cannot be written ({error.strerror})") from None
