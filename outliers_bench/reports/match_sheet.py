"""Match sheets: queries and gallery photos with lines between their matched points."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from outliers_bench.data.opencv import opencv
from outliers_bench.reports.sheet import FAINT, IRRELEVANT, MARGIN, NEUTRAL, QUERY, RELEVANT, Sheet
from outliers_bench.reports.tiles import FRAME, PAPER, fit
from outliers_bench.types import RGB, BoolArray, FloatArray

WIDTH, HEIGHT = 410, 310  # pixels of a photo, with its frame
QUERY_LEFT = MARGIN
GALLERY_LEFT = QUERY_LEFT + WIDTH + 26
OVERLAY_LEFT = GALLERY_LEFT + WIDTH + 18
_HEADER, _CAPTION, _GAP = 72, 42, 14
MAX_LINES = 60  # between two photos; more cannot be distinguished
_PHOTO_WEIGHT = 0.45  # of the photo under the lines of outliers
_HUE_STEP = 0.381966  # golden ratio of the color circle, so that neighboring lines differ
_MAX_LUMA = 170  # up to which a line is visible on white paper
_SHIFT = 4  # fractional bits of OpenCV's coordinates
_DOT, _RING = 36, 52  # radii in these fractions: 2.25 and 3.25 pixels


@dataclass(frozen=True, eq=False)
class MatchPicture:
    """Query and gallery photo with their m keypoint matches."""

    query: RGB
    gallery: RGB
    # x and y of each match, shape (m, 2), in pixels of these arrays; whole numbers are pixel
    # centers.
    query_points: FloatArray
    gallery_points: FloatArray
    inliers: BoolArray  # mask of the matches that agree with the transform
    # Maps query points, in homogeneous coordinates, to gallery points, shape (3, 3); None if no
    # geometry was found.
    transform: npt.NDArray[np.floating] | None
    query_caption: str
    gallery_caption: str
    is_relevant: bool | None  # None without labels


def row_top(row: int) -> int:
    """Return the top edge, in pixels, of the frames of a row."""
    return MARGIN + _HEADER + row * (HEIGHT + _CAPTION + _GAP)


def draw_match_sheet(rows: Sequence[MatchPicture], *, title: str) -> RGB:
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
    array of uint8, shape (height, width, 3)
        RGB. At most `MAX_LINES` inliers are drawn, selected evenly from top to bottom of the query,
        and at most as many outliers, as faint lines underneath.
    """
    sheet = Sheet(OVERLAY_LEFT + WIDTH + MARGIN, row_top(len(rows)) - _GAP + MARGIN)
    width = sheet.pixels.shape[1] - 2 * MARGIN
    sheet.write(title, left=MARGIN, top=MARGIN - 6, width=width, size=22)
    titles_top = row_top(0) - 22
    for left, text in (
        (QUERY_LEFT, "query"),
        (GALLERY_LEFT, "best match"),
        (OVERLAY_LEFT, "query overlaid on match"),
    ):
        sheet.write(text, left=left, top=titles_top, ink=FAINT)
    if any(picture.is_relevant is not None for picture in rows):
        sheet.legend(right=MARGIN + width, top=titles_top - 24)
    for row, picture in enumerate(rows):
        _draw_row(sheet, picture, top=row_top(row))
    return sheet.pixels


def _draw_row(sheet: Sheet, picture: MatchPicture, *, top: int) -> None:
    frame = {True: RELEVANT, False: IRRELEVANT, None: NEUTRAL}[picture.is_relevant]
    query, gallery = (
        fit(photo, WIDTH - 2 * FRAME, HEIGHT - 2 * FRAME)
        for photo in (picture.query, picture.gallery)
    )
    draw = partial(sheet.photo, top=top, width=WIDTH, height=HEIGHT, missing="no geometry found")
    start = draw(query, left=QUERY_LEFT, frame=QUERY)
    end = draw(gallery, left=GALLERY_LEFT, frame=frame)
    _draw_lines(
        sheet.pixels[top : top + HEIGHT],
        _transform(picture.query_points, _scale(picture.query, query, start[0], start[1] - top)),
        _transform(picture.gallery_points, _scale(picture.gallery, gallery, end[0], end[1] - top)),
        picture.inliers,
    )
    draw(_overlay(picture, query, gallery), left=OVERLAY_LEFT, frame=NEUTRAL)
    if picture.is_relevant is not None:
        sheet.mark(relevant=picture.is_relevant, right=GALLERY_LEFT + WIDTH, top=top)
    below = top + HEIGHT + 3
    sheet.write(picture.query_caption, left=QUERY_LEFT + 2, top=below, width=WIDTH - 5)
    sheet.write(picture.gallery_caption, left=GALLERY_LEFT + 2, top=below, width=WIDTH - 5)
    counts = _describe_matches(picture.inliers)
    sheet.write(counts, left=QUERY_LEFT + 2, top=below + 18, ink=FAINT)


def _scale(photo: RGB, shown: RGB, left: int, top: int) -> npt.NDArray[np.float64]:
    """Return the matrix, shape (3, 3), that maps points of a photo to where it is shown.

    Whole numbers are pixel centers, so a photo begins at -1/2.
    """
    y, x = np.divide(shown.shape[:2], photo.shape[:2])
    return np.array([[x, 0, (x - 1) / 2 + left], [0, y, (y - 1) / 2 + top], [0, 0, 1]])


def _transform(points: FloatArray, matrix: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Apply an affine matrix to points, shape (m, 2)."""
    moved: npt.NDArray[np.float64] = points @ matrix[:2, :2].T + matrix[:2, 2]
    return moved


def _select_lines(mask: BoolArray, starts: npt.NDArray[np.float64]) -> npt.NDArray[np.intp]:
    """Select at most `MAX_LINES` of the masked matches, evenly from top to bottom."""
    positions = np.flatnonzero(mask)
    positions = positions[np.lexsort((starts[positions, 0], starts[positions, 1]))]
    if len(positions) <= MAX_LINES:
        return positions
    return positions[np.linspace(0, len(positions) - 1, MAX_LINES).round().astype(np.intp)]


def _draw_lines(
    area: RGB, starts: npt.NDArray[np.float64], ends: npt.NDArray[np.float64], inliers: BoolArray
) -> None:
    """Draw a line from each start to its end, with inliers on top and in color."""
    cv2 = opencv()  # draws the lines, as Pillow's are not antialiased
    fixed = np.rint(np.stack([starts, ends], axis=1) * 2**_SHIFT).astype(int).tolist()
    faint = area.copy()
    for position in _select_lines(~inliers, starts):
        cv2.line(faint, *fixed[position], NEUTRAL, 1, cv2.LINE_AA, _SHIFT)
    area[:] = cv2.addWeighted(area, _PHOTO_WEIGHT, faint, 1 - _PHOTO_WEIGHT, 0)
    for number, position in enumerate(_select_lines(inliers, starts)):
        color = _line_color(number)
        cv2.line(area, *fixed[position], color, 1, cv2.LINE_AA, _SHIFT)
        for point in fixed[position]:
            cv2.circle(area, point, _RING, PAPER, -1, cv2.LINE_AA, _SHIFT)
            cv2.circle(area, point, _DOT, color, -1, cv2.LINE_AA, _SHIFT)


def _line_color(number: int) -> tuple[int, int, int]:
    """Return a vivid color that differs from those of neighboring numbers."""
    red, green, blue = (255 * v for v in colorsys.hsv_to_rgb(number * _HUE_STEP % 1, 0.9, 1.0))
    dim = min(1.0, _MAX_LUMA / (0.299 * red + 0.587 * green + 0.114 * blue))
    return round(dim * red), round(dim * green), round(dim * blue)


def _overlay(picture: MatchPicture, query: RGB, gallery: RGB) -> RGB | None:
    """Blend the query into the gallery photo at its estimated position; None without geometry."""
    cv2 = opencv()
    matrix = picture.transform
    if matrix is None or not np.isfinite(matrix).all() or np.linalg.det(matrix) == 0:
        return None
    from_shown = np.linalg.inv(_scale(picture.query, query, 0, 0))
    to_gallery = _scale(picture.gallery, gallery, 0, 0) @ matrix.astype(np.float64) @ from_shown
    size = gallery.shape[1::-1]
    # The border is replicated, as half of an edge pixel is beyond the edge.
    warped = cv2.warpPerspective(query, to_gallery, size, borderMode=cv2.BORDER_REPLICATE)
    covered = cv2.warpPerspective(np.ones(query.shape[:2], np.uint8), to_gallery, size)[..., None]
    pale = cv2.addWeighted(gallery, 0.5, np.full_like(gallery, 255), 0.5, 0)
    blend = cv2.addWeighted(gallery, 0.5, warped, 0.5, 0)
    return np.asarray(np.where(covered > 0, blend, pale), dtype=np.uint8)


def _describe_matches(inliers: BoolArray) -> str:
    """Return the number of inliers and matches, and of drawn lines if not all are drawn."""
    n_inliers = int(inliers.sum())
    text = f"{n_inliers:,} inliers of {len(inliers):,} matches"
    n_outliers = len(inliers) - n_inliers
    if max(n_inliers, n_outliers) <= MAX_LINES:
        return text
    return f"{text}; drawn: {min(n_inliers, MAX_LINES)} and {min(n_outliers, MAX_LINES)} others"
