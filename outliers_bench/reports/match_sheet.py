"""Match sheets: queries and gallery photos with lines between their matched points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from outliers_bench.reports.match_picture import (
    HEIGHT,
    MAX_LINES,
    MatchPicture,
    draw_lines,
    overlay_query,
    scale_matrix,
    scale_photo,
    scaled_size,
    transform_points,
)
from outliers_bench.reports.sheet import (
    BAND,
    FAINT,
    IRRELEVANT,
    MARGIN,
    MARK,
    NEUTRAL,
    QUERY,
    RELEVANT,
    UNREADABLE,
    Sheet,
)
from outliers_bench.reports.tiles import FRAME, Color, to_bgr
from outliers_bench.types import BoolArray

if TYPE_CHECKING:
    from PIL.Image import Image

_MIN_WIDTH = 200  # pixels of a column, for a caption
_BETWEEN, _APART = 36, 28  # pixels from query to gallery photo, and from there to the overlay
_HEADER, _CAPTION, _GAP = 72, 42, 14


@dataclass(frozen=True)
class Columns:
    """Columns of a match sheet, from left to right, in pixels without the frames."""

    query_width: int
    gallery_width: int

    @property
    def query(self) -> int:
        """Left edge of the queries."""
        return MARGIN + FRAME

    @property
    def gallery(self) -> int:
        """Left edge of the gallery photos."""
        return self.query + self.query_width + _BETWEEN

    @property
    def overlay(self) -> int:
        """Left edge of the overlays."""
        return self.gallery + self.gallery_width + _APART

    @property
    def width(self) -> int:
        """Width of the sheet."""
        return self.overlay + self.gallery_width + FRAME + MARGIN


def fit_columns(rows: Sequence[MatchPicture]) -> Columns:
    """Return columns wide enough for the photos of all rows."""
    query_widths = [scaled_size(picture.query)[0] for picture in rows]
    gallery_widths = [scaled_size(picture.gallery)[0] for picture in rows]
    return Columns(max([_MIN_WIDTH, *query_widths]), max([_MIN_WIDTH, *gallery_widths]))


def row_top(row: int) -> int:
    """Return the top edge, in pixels, of the photos of a row, without their frames."""
    return MARGIN + _HEADER + FRAME + row * (HEIGHT + 2 * FRAME + _CAPTION + _GAP)


def draw_match_sheet(rows: Sequence[MatchPicture], *, title: str) -> Image:
    """Draw pairs of photos with lines between their matches, and the query overlaid.

    A row has the query, the gallery photo in a frame that marks it as relevant or not, as on
    contact sheets, and the gallery photo again with the query transformed by the geometry and
    blended in: a correct geometry looks like one photo, a wrong one like two. The area that the
    query does not cover is paler.

    Parameters
    ----------
    rows : sequence of MatchPicture
        Pairs of photos, from top to bottom.
    title : str
        Heading of the sheet.

    Returns
    -------
    PIL.Image.Image
        RGB. At most `MAX_LINES` inliers are drawn, selected evenly from top to bottom of the query,
        and at most as many outliers, as faint lines underneath.
    """
    from PIL import Image

    columns = fit_columns(rows)
    sheet = Sheet(columns.width, row_top(len(rows)) - FRAME - _GAP + MARGIN)
    for row, picture in enumerate(rows):
        _draw_row(sheet, picture, columns, top=row_top(row))
    sheet.write(title, left=MARGIN, top=MARGIN - 6, width=columns.width - 2 * MARGIN, size=22)
    titles_top = row_top(0) - FRAME - 22
    for left, text in (
        (columns.query, "query"),
        (columns.gallery, "best match"),
        (columns.overlay, "query overlaid on match"),
    ):
        sheet.write(text, left=left - FRAME, top=titles_top, ink=FAINT)
    if any(picture.is_relevant is not None for picture in rows):
        sheet.legend(right=columns.width - MARGIN, top=titles_top - 24)
    for row, picture in enumerate(rows):
        _write_row(sheet, picture, columns, top=row_top(row))
    return Image.fromarray(np.ascontiguousarray(sheet.rgb))


def _draw_row(sheet: Sheet, picture: MatchPicture, columns: Columns, *, top: int) -> None:
    """Draw photos, frames, lines and overlay of a row."""
    frame = {True: RELEVANT, False: IRRELEVANT, None: NEUTRAL}[picture.is_relevant]
    corners = []
    for photo, left, width, color in (
        (picture.query, columns.query, columns.query_width, QUERY),
        (picture.gallery, columns.gallery, columns.gallery_width, frame),
    ):
        shown = to_bgr(scale_photo(photo))
        corner = (left + (width - shown.shape[1]) // 2, top + (HEIGHT - shown.shape[0]) // 2)
        _draw_frame(sheet, left=left, top=top, width=width, color=color)
        sheet.paste(shown, left=corner[0], top=corner[1])
        corners.append(corner)
    # OpenCV draws the lines, as Pillow's are not antialiased.
    right = columns.gallery + columns.gallery_width + FRAME
    area = sheet.rgb[top - FRAME : top + HEIGHT + FRAME, :right]
    (start_left, start_top), (end_left, end_top) = corners
    starts = scale_matrix(picture.query, (start_left, start_top - top + FRAME))
    ends = scale_matrix(picture.gallery, (end_left, end_top - top + FRAME))
    area[:] = draw_lines(
        np.ascontiguousarray(area),
        transform_points(starts, picture.query_points),
        transform_points(ends, picture.gallery_points),
        picture.inliers,
    )
    left, width = columns.overlay, columns.gallery_width
    _draw_frame(sheet, left=left, top=top, width=width, color=NEUTRAL)
    overlay = overlay_query(picture)
    if overlay is None:
        sheet.fill(UNREADABLE, left=left, top=top, width=width, height=HEIGHT)
        sheet.write_centered("no geometry found", left=left, top=top, width=width, height=HEIGHT)
    else:
        sheet.paste(to_bgr(overlay), left=left + end_left - columns.gallery, top=end_top)


def _draw_frame(sheet: Sheet, *, left: int, top: int, width: int, color: Color) -> None:
    outer = {"width": width + 2 * FRAME, "height": HEIGHT + 2 * FRAME}
    sheet.fill(color, left=left - FRAME, top=top - FRAME, **outer)
    sheet.fill(BAND, left=left, top=top, width=width, height=HEIGHT)


def _write_row(sheet: Sheet, picture: MatchPicture, columns: Columns, *, top: int) -> None:
    """Draw captions and mark of a row."""
    if picture.is_relevant is not None:
        left = columns.gallery + columns.gallery_width + FRAME - MARK
        sheet.mark(relevant=picture.is_relevant, left=left, top=top - FRAME)
    below = top + HEIGHT + FRAME + 3
    for text, left, width in (
        (picture.query_caption, columns.query, columns.query_width),
        (picture.gallery_caption, columns.gallery, columns.gallery_width),
    ):
        sheet.write(text, left=left - FRAME + 2, top=below, width=width + FRAME)
    counts = _describe_matches(picture.inliers)
    sheet.write(counts, left=columns.query - FRAME + 2, top=below + 18, ink=FAINT)


def _describe_matches(inliers: BoolArray) -> str:
    """Return the number of inliers and matches, and of drawn lines if not all are drawn."""
    n_inliers = int(inliers.sum())
    text = f"{n_inliers:,} inliers of {len(inliers):,} matches"
    n_outliers = len(inliers) - n_inliers
    if max(n_inliers, n_outliers) <= MAX_LINES:
        return text
    return f"{text}; drawn: {min(n_inliers, MAX_LINES)} and {min(n_outliers, MAX_LINES)} others"
