"""Contact sheet of a search: each query next to its hits, best first, in rows of ten."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from outliers_bench.data.opencv import opencv
from outliers_bench.errors import BenchError
from outliers_bench.reports.sheet import BAND, FAINT, INK, MARGIN, Sheet
from outliers_bench.reports.tiles import BGR, LINE, PAPER, TILE, read_photos, text_line
from outliers_bench.runtime.progress import track
from outliers_bench.store.files import write_atomically
from outliers_bench.types import ImageSet

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
    width = 2 * MARGIN + TILE + _QUERY_GAP + n_columns * (TILE + _GAP) - _GAP
    sheet = Sheet(width, _TOP + total_rows * _ROW_HEIGHT + MARGIN - _GAP)
    band = MARGIN + TILE + _QUERY_GAP // 2
    height = len(sheet.pixels)
    sheet.fill(BAND, left=0, top=_TOP - _GAP, width=band, height=height)
    sheet.write(heading, left=MARGIN, top=MARGIN - 6, width=width - 2 * MARGIN, size=20)
    images = (image for section, _ in sections for image in section.images())
    with closing(read_photos(images)) as photos:
        steps = track(sections, stage="sheet", total=len(sections), unit="queries")
        for section, first_row in steps:
            _draw(sheet, section, photos, top=_TOP + first_row * _ROW_HEIGHT)
    _write(sheet.pixels, path)
    return len(sections)


class _Section(NamedTuple):
    """A query and its hits."""

    queries: ImageSet
    query: int
    hits: list[Hit]
    gallery: ImageSet

    def images(self) -> list[tuple[ImageSet, int]]:
        """Return the query and its hits."""
        return [(self.queries, self.query), *((self.gallery, hit.row) for hit in self.hits)]


def _draw(sheet: Sheet, section: _Section, photos: Iterator[BGR | None], *, top: int) -> None:
    name = Path(section.queries.names[section.query]).name
    sheet.photo(next(photos), left=MARGIN, top=top)
    sheet.caption([text_line(name, INK, BAND)], left=MARGIN, top=top)
    for position, hit in enumerate(section.hits):
        row, column = divmod(position, COLUMNS)
        left = MARGIN + TILE + _QUERY_GAP + column * (TILE + _GAP)
        sheet.photo(next(photos), left=left, top=top + row * _ROW_HEIGHT)
        lines = (
            text_line(f"{position + 1}.   {hit.score:.3f}", INK, PAPER),
            text_line(hit.label or "", INK, PAPER),
            text_line(Path(hit.name).name, FAINT, PAPER),
        )
        sheet.caption(lines, left=left, top=top + row * _ROW_HEIGHT)


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
