"""Which points of two photos were matched, and how one lies on the other, as pictures."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from outliers_bench.data.opencv import opencv
from outliers_bench.reports.contact_sheet import (
    BAND,
    FAINT,
    INK,
    MARGIN,
    NEUTRAL,
    QUERY,
    RIGHT,
    UNREADABLE,
    WRONG,
    draw_legend,
    draw_mark,
)
from outliers_bench.reports.tiles import FRAME, PAPER, SHARP_FROM, font, shortened
from outliers_bench.types import RGB, BoolArray, FloatArray

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

HEIGHT = 300  # pixels of a photo, frame excluded
MOST_LINES = 60  # drawn between two photos; more cannot be told apart
_NARROWEST, _WIDEST = 200, 440  # a column: a caption must fit in, and the sheet on a screen
_BETWEEN, _APART = 36, 28  # pixels from query to found photo, and from there to the overlay
_HEADER, _CAPTION, _GAP = 72, 42, 14
_FAINTNESS = 0.45  # how much of the photo a match that does not agree lets through
_GOLDEN = 0.381966  # of the circle of hues: neighboring lines are far apart on it
_BRIGHTEST = 170  # luma up to which a line is seen on white paper
_SHIFT = 4  # bits of a pixel's fraction in OpenCV's drawing
_DOT, _RING = 36, 52  # radii, in these fractions: 2.25 and 3.25 pixels


@dataclass(frozen=True, eq=False)
class MatchPicture:
    """Two photos and what matches in them.

    Parameters
    ----------
    query, found : array of uint8, shape (height, width, 3)
        RGB, of any sizes.
    query_points, found_points : array of float32, shape (m, 2)
        x and y of each match in pixels of the arrays given, whole numbers in pixels' middles.
    inliers : array of bool, shape (m,)
        Which matches agree on one geometry.
    transform : array, shape (3, 3), or None
        Takes query points, in homogeneous coordinates, to found points; None where there is no
        geometry.
    query_caption, found_caption : str
        What each photo is; long ones lose their middle.
    right : bool or None
        Whether the photo should have been found; None where nobody knows.

    Raises
    ------
    ValueError
        If the shapes do not fit.
    """

    query: RGB
    found: RGB
    query_points: FloatArray
    found_points: FloatArray
    inliers: BoolArray
    transform: npt.NDArray[np.floating] | None
    query_caption: str
    found_caption: str
    right: bool | None

    def __post_init__(self) -> None:
        m = len(self.inliers)
        if self.query_points.shape != (m, 2) or self.found_points.shape != (m, 2):
            shapes = f"{self.query_points.shape} and {self.found_points.shape}"
            raise ValueError(f"{m} matches, but points of shapes {shapes}")
        if self.transform is not None and self.transform.shape != (3, 3):
            raise ValueError(f"a transform of shape {self.transform.shape} is not (3, 3)")


@dataclass(frozen=True)
class Columns:
    """Where the photos of a sheet lie, from left to right, in pixels without their frames."""

    query_width: int
    found_width: int

    @property
    def query(self) -> int:
        """Left edge of the queries."""
        return MARGIN + FRAME

    @property
    def found(self) -> int:
        """Left edge of the found photos."""
        return self.query + self.query_width + _BETWEEN

    @property
    def overlay(self) -> int:
        """Left edge of the overlays."""
        return self.found + self.found_width + _APART

    @property
    def width(self) -> int:
        """Of the whole sheet."""
        return self.overlay + self.found_width + FRAME + MARGIN


def columns(rows: Sequence[MatchPicture]) -> Columns:
    """The columns that hold the photos of these rows."""
    queries = [_shown_size(picture.query)[0] for picture in rows]
    found = [_shown_size(picture.found)[0] for picture in rows]
    return Columns(max([_NARROWEST, *queries]), max([_NARROWEST, *found]))


def row_top(row: int) -> int:
    """Top edge, in pixels, of the photos of a row, without their frames."""
    return MARGIN + _HEADER + FRAME + row * (HEIGHT + 2 * FRAME + _CAPTION + _GAP)


def match_sheet(rows: Sequence[MatchPicture], *, title: str) -> Image:
    """Draw pairs of photos with lines between what matches, and one laid over the other.

    A row holds the query, the found photo in a frame that says right or wrong as on contact
    sheets, and the found photo once more with the query over it, moved as the geometry says and
    half transparent: where the geometry is right, the two look like one, elsewhere double. What
    the query does not cover is paler.

    Parameters
    ----------
    rows : sequence of MatchPicture
        From top to bottom.
    title : str
        Heading of the sheet.

    Returns
    -------
    PIL.Image.Image
        RGB. Of more than `MOST_LINES` agreeing matches only as many are drawn, chosen evenly from
        top to bottom of the query, and as many of the others, as faint lines underneath.
    """
    from PIL import Image, ImageDraw

    places = columns(rows)
    height = row_top(len(rows)) - FRAME - _GAP + MARGIN
    sheet = Image.new("RGB", (places.width, height), PAPER)
    for row, picture in enumerate(rows):
        _paste_row(sheet, picture, places, top=row_top(row))
    draw = ImageDraw.Draw(sheet)
    heading = shortened(title, places.width - 2 * MARGIN, size=22)
    draw.text((MARGIN, MARGIN - 6), heading, fill=INK, font=font(22))
    titles_top = row_top(0) - FRAME - 22
    for left, text in (
        (places.query, "query"),
        (places.found, "found"),
        (places.overlay, "query laid over found"),
    ):
        draw.text((left - FRAME, titles_top), text, fill=FAINT, font=font(14))
    if any(picture.right is not None for picture in rows):
        draw_legend(draw, right=places.width - MARGIN, top=titles_top - 24)
    for row, picture in enumerate(rows):
        _write_row(draw, picture, places, top=row_top(row))
    return sheet


def _shown_size(photo: RGB) -> tuple[int, int]:
    """Width and height of a photo on the sheet: whole, its proportions kept."""
    high, wide = photo.shape[:2]
    scale = min(HEIGHT / high, _WIDEST / wide)
    return max(1, round(wide * scale)), max(1, round(high * scale))


def _shown(photo: RGB) -> Image:
    from PIL import Image

    size = _shown_size(photo)
    enlarged = max(size) / max(photo.shape[:2])
    method = Image.Resampling.NEAREST if enlarged > SHARP_FROM else Image.Resampling.LANCZOS
    return Image.fromarray(np.ascontiguousarray(photo)).resize(size, method)


def _to_shown(photo: RGB, corner: tuple[int, int]) -> npt.NDArray[np.float64]:
    """What takes points of a photo to where they are shown, shape (3, 3).

    Whole numbers are the middles of pixels, so the photo begins at -1/2.
    """
    wide, high = _shown_size(photo)
    x, y = wide / photo.shape[1], high / photo.shape[0]
    left, top = corner
    return np.array([[x, 0, (x - 1) / 2 + left], [0, y, (y - 1) / 2 + top], [0, 0, 1]])


def _paste_row(sheet: Image, picture: MatchPicture, places: Columns, *, top: int) -> None:
    """Photos, frames, lines and overlay of one row."""
    from PIL import Image

    frame = NEUTRAL if picture.right is None else (RIGHT if picture.right else WRONG)
    corners = []
    for photo, left, wide, color in (
        (picture.query, places.query, places.query_width, QUERY),
        (picture.found, places.found, places.found_width, frame),
    ):
        shown = _shown(photo)
        corner = (left + (wide - shown.width) // 2, top + (HEIGHT - shown.height) // 2)
        _draw_frame(sheet, left=left, top=top, wide=wide, color=color)
        sheet.paste(shown, corner)
        corners.append(corner)
    # The lines are drawn by OpenCV, for Pillow's are not smoothed.
    box = (0, top - FRAME, places.found + places.found_width + FRAME, top + HEIGHT + FRAME)
    (start_left, start_top), (end_left, end_top) = corners
    starts = _to_shown(picture.query, (start_left, start_top - box[1]))
    ends = _to_shown(picture.found, (end_left, end_top - box[1]))
    lines = _with_lines(
        np.array(sheet.crop(box)),
        _moved(starts, picture.query_points),
        _moved(ends, picture.found_points),
        picture.inliers,
    )
    sheet.paste(Image.fromarray(lines), box)
    _draw_frame(sheet, left=places.overlay, top=top, wide=places.found_width, color=NEUTRAL)
    overlay = _overlay(picture)
    if overlay is None:
        _draw_no_geometry(sheet, left=places.overlay, top=top, wide=places.found_width)
    else:
        place = (places.overlay + end_left - places.found, end_top)
        sheet.paste(Image.fromarray(overlay), place)


def _draw_frame(
    sheet: Image, *, left: int, top: int, wide: int, color: tuple[int, int, int]
) -> None:
    sheet.paste(color, (left - FRAME, top - FRAME, left + wide + FRAME, top + HEIGHT + FRAME))
    sheet.paste(BAND, (left, top, left + wide, top + HEIGHT))


def _draw_no_geometry(sheet: Image, *, left: int, top: int, wide: int) -> None:
    from PIL import ImageDraw

    sheet.paste(UNREADABLE, (left, top, left + wide, top + HEIGHT))
    middle = (left + wide / 2, top + HEIGHT / 2)
    ImageDraw.Draw(sheet).text(middle, "no geometry found", fill=INK, font=font(14), anchor="mm")


def _moved(matrix: npt.NDArray[np.float64], points: FloatArray) -> npt.NDArray[np.float64]:
    """Points, shape (m, 2), where an affine matrix takes them."""
    moved: npt.NDArray[np.float64] = points @ matrix[:2, :2].T + matrix[:2, 2]
    return moved


def _drawn(chosen: BoolArray, starts: npt.NDArray[np.float64]) -> npt.NDArray[np.intp]:
    """Positions of at most `MOST_LINES` of the chosen matches, evenly from top to bottom."""
    positions = np.flatnonzero(chosen)
    positions = positions[np.lexsort((starts[positions, 0], starts[positions, 1]))]
    if len(positions) <= MOST_LINES:
        return positions
    return positions[np.linspace(0, len(positions) - 1, MOST_LINES).round().astype(np.intp)]


def _with_lines(
    area: RGB, starts: npt.NDArray[np.float64], ends: npt.NDArray[np.float64], inliers: BoolArray
) -> RGB:
    """A picture with a line from each start to its end, those of inliers on top, in colors."""
    cv2 = opencv()
    pairs = np.stack([starts, ends], axis=1)
    fixed = np.rint(pairs * 2**_SHIFT).astype(int).tolist()
    faint = area.copy()
    for position in _drawn(~inliers, starts):
        start, end = fixed[position]
        cv2.line(faint, start, end, NEUTRAL, 1, cv2.LINE_AA, _SHIFT)
    area = cv2.addWeighted(area, _FAINTNESS, faint, 1 - _FAINTNESS, 0)
    for number, position in enumerate(_drawn(inliers, starts)):
        color = _color(number)
        start, end = fixed[position]
        cv2.line(area, start, end, color, 1, cv2.LINE_AA, _SHIFT)
        for point in (start, end):
            cv2.circle(area, point, _RING, PAPER, -1, cv2.LINE_AA, _SHIFT)
            cv2.circle(area, point, _DOT, color, -1, cv2.LINE_AA, _SHIFT)
    return np.asarray(area, dtype=np.uint8)


def _color(number: int) -> tuple[int, int, int]:
    """Vivid, and far from the colors of the numbers before and after."""
    red, green, blue = (255 * v for v in colorsys.hsv_to_rgb(number * _GOLDEN % 1, 0.9, 1.0))
    dim = min(1.0, _BRIGHTEST / (0.299 * red + 0.587 * green + 0.114 * blue))
    return round(dim * red), round(dim * green), round(dim * blue)


def _overlay(picture: MatchPicture) -> RGB | None:
    """The found photo as shown, the query blended in where the geometry puts it; None without."""
    cv2 = opencv()
    matrix = picture.transform
    if matrix is None or not np.isfinite(matrix).all() or np.linalg.det(matrix) == 0:
        return None
    query, found = np.asarray(_shown(picture.query)), np.asarray(_shown(picture.found))
    back = np.linalg.inv(_to_shown(picture.query, (0, 0)))
    placed = _to_shown(picture.found, (0, 0)) @ matrix.astype(np.float64) @ back
    size = found.shape[1::-1]
    # Beyond its edge the query's last pixels go on, for half of an edge pixel lies beyond.
    moved = cv2.warpPerspective(query, placed, size, borderMode=cv2.BORDER_REPLICATE)
    covered = cv2.warpPerspective(np.ones(query.shape[:2], np.uint8), placed, size)[..., None]
    pale = cv2.addWeighted(found, 0.5, np.full_like(found, 255), 0.5, 0)
    blend = cv2.addWeighted(found, 0.5, moved, 0.5, 0)
    return np.asarray(np.where(covered > 0, blend, pale), dtype=np.uint8)


def _write_row(draw: ImageDraw, picture: MatchPicture, places: Columns, *, top: int) -> None:
    """Captions and mark of one row."""
    if picture.right is not None:
        left = places.found + places.found_width + FRAME - 26
        draw_mark(draw, right=picture.right, left=left, top=top - FRAME)
    below = top + HEIGHT + FRAME + 3
    for text, left, wide in (
        (picture.query_caption, places.query, places.query_width),
        (picture.found_caption, places.found, places.found_width),
    ):
        caption = shortened(text, wide + FRAME, size=14)
        draw.text((left - FRAME + 2, below), caption, fill=INK, font=font(14))
    counts = _counts(picture.inliers)
    draw.text((places.query - FRAME + 2, below + 18), counts, fill=FAINT, font=font(14))


def _counts(inliers: BoolArray) -> str:
    """How many matches agree, and how many are drawn where that is not all."""
    agreeing = int(inliers.sum())
    text = f"{agreeing:,} inliers of {len(inliers):,} matches"
    others = len(inliers) - agreeing
    if max(agreeing, others) <= MOST_LINES:
        return text
    return f"{text}; drawn: {min(agreeing, MOST_LINES)} and {min(others, MOST_LINES)} others"
