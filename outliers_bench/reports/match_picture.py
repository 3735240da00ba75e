"""Photos with their matches: lines between matched points, and one photo overlaid on the other."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from outliers_bench.data.opencv import opencv
from outliers_bench.reports.sheet import NEUTRAL
from outliers_bench.reports.tiles import PAPER, SHARP_FROM
from outliers_bench.types import RGB, BoolArray, FloatArray

if TYPE_CHECKING:
    from PIL.Image import Image

HEIGHT = 300  # pixels of a photo, without its frame
MAX_WIDTH = 440  # pixels of a photo, so that a sheet fits on a screen
MAX_LINES = 60  # between two photos; more cannot be distinguished
_PHOTO_WEIGHT = 0.45  # of the photo under the lines of outliers
_HUE_STEP = 0.381966  # golden ratio of the color circle, so that neighboring lines differ
_MAX_LUMA = 170  # up to which a line is visible on white paper
_SHIFT = 4  # fractional bits of OpenCV's coordinates
_DOT, _RING = 36, 52  # radii in these fractions: 2.25 and 3.25 pixels


@dataclass(frozen=True, eq=False)
class MatchPicture:
    """Query and gallery photo with their keypoint matches.

    Parameters
    ----------
    query, gallery : array of uint8, shape (height, width, 3)
        RGB, of any sizes.
    query_points, gallery_points : array of float32, shape (m, 2)
        x and y of each match, in pixels of these arrays; whole numbers are pixel centers.
    inliers : array of bool, shape (m,)
        Mask of the matches that agree with the transform.
    transform : array, shape (3, 3), or None
        Maps query points, in homogeneous coordinates, to gallery points; None if no geometry was
        found.
    query_caption, gallery_caption : str
        Captions of the photos; long ones lose their middle.
    is_relevant : bool or None
        Whether the gallery photo is relevant to the query; None without labels.

    Raises
    ------
    ValueError
        If the shapes do not match.
    """

    query: RGB
    gallery: RGB
    query_points: FloatArray
    gallery_points: FloatArray
    inliers: BoolArray
    transform: npt.NDArray[np.floating] | None
    query_caption: str
    gallery_caption: str
    is_relevant: bool | None

    def __post_init__(self) -> None:
        m = len(self.inliers)
        if self.query_points.shape != (m, 2) or self.gallery_points.shape != (m, 2):
            shapes = f"{self.query_points.shape} and {self.gallery_points.shape}"
            raise ValueError(f"{m} matches, but points of shapes {shapes}")
        if self.transform is not None and self.transform.shape != (3, 3):
            raise ValueError(f"a transform of shape {self.transform.shape} is not (3, 3)")


def scaled_size(photo: RGB) -> tuple[int, int]:
    """Return width and height of a photo on the sheet; the aspect ratio is preserved."""
    height, width = photo.shape[:2]
    scale = min(HEIGHT / height, MAX_WIDTH / width)
    return max(1, round(width * scale)), max(1, round(height * scale))


def scale_photo(photo: RGB) -> Image:
    """Scale a photo to its size on the sheet."""
    from PIL import Image

    size = scaled_size(photo)
    enlarged = max(size) / max(photo.shape[:2])
    method = Image.Resampling.NEAREST if enlarged > SHARP_FROM else Image.Resampling.LANCZOS
    return Image.fromarray(np.ascontiguousarray(photo)).resize(size, method)


def scale_matrix(photo: RGB, corner: tuple[int, int]) -> npt.NDArray[np.float64]:
    """Return the matrix, shape (3, 3), that maps points of a photo to points of the sheet.

    Whole numbers are pixel centers, so a photo begins at -1/2.
    """
    width, height = scaled_size(photo)
    x, y = width / photo.shape[1], height / photo.shape[0]
    left, top = corner
    return np.array([[x, 0, (x - 1) / 2 + left], [0, y, (y - 1) / 2 + top], [0, 0, 1]])


def transform_points(
    matrix: npt.NDArray[np.float64], points: FloatArray
) -> npt.NDArray[np.float64]:
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


def draw_lines(
    area: RGB, starts: npt.NDArray[np.float64], ends: npt.NDArray[np.float64], inliers: BoolArray
) -> RGB:
    """Draw a line from each start to its end, with inliers on top and in color."""
    cv2 = opencv()
    pairs = np.stack([starts, ends], axis=1)
    fixed = np.rint(pairs * 2**_SHIFT).astype(int).tolist()
    faint = area.copy()
    for position in _select_lines(~inliers, starts):
        start, end = fixed[position]
        cv2.line(faint, start, end, NEUTRAL, 1, cv2.LINE_AA, _SHIFT)
    area = cv2.addWeighted(area, _PHOTO_WEIGHT, faint, 1 - _PHOTO_WEIGHT, 0)
    for number, position in enumerate(_select_lines(inliers, starts)):
        color = _line_color(number)
        start, end = fixed[position]
        cv2.line(area, start, end, color, 1, cv2.LINE_AA, _SHIFT)
        for point in (start, end):
            cv2.circle(area, point, _RING, PAPER, -1, cv2.LINE_AA, _SHIFT)
            cv2.circle(area, point, _DOT, color, -1, cv2.LINE_AA, _SHIFT)
    return np.asarray(area, dtype=np.uint8)


def _line_color(number: int) -> tuple[int, int, int]:
    """Return a vivid color that differs from those of neighboring numbers."""
    red, green, blue = (255 * v for v in colorsys.hsv_to_rgb(number * _HUE_STEP % 1, 0.9, 1.0))
    dim = min(1.0, _MAX_LUMA / (0.299 * red + 0.587 * green + 0.114 * blue))
    return round(dim * red), round(dim * green), round(dim * blue)


def overlay_query(picture: MatchPicture) -> RGB | None:
    """Blend the query into the gallery photo at its estimated position; None without geometry."""
    cv2 = opencv()
    matrix = picture.transform
    if matrix is None or not np.isfinite(matrix).all() or np.linalg.det(matrix) == 0:
        return None
    query = np.asarray(scale_photo(picture.query))
    gallery = np.asarray(scale_photo(picture.gallery))
    from_sheet = np.linalg.inv(scale_matrix(picture.query, (0, 0)))
    to_gallery = scale_matrix(picture.gallery, (0, 0)) @ matrix.astype(np.float64) @ from_sheet
    size = gallery.shape[1::-1]
    # The border is replicated, as half of an edge pixel is beyond the edge.
    warped = cv2.warpPerspective(query, to_gallery, size, borderMode=cv2.BORDER_REPLICATE)
    covered = cv2.warpPerspective(np.ones(query.shape[:2], np.uint8), to_gallery, size)[..., None]
    pale = cv2.addWeighted(gallery, 0.5, np.full_like(gallery, 255), 0.5, 0)
    blend = cv2.addWeighted(gallery, 0.5, warped, 0.5, 0)
    return np.asarray(np.where(covered > 0, blend, pale), dtype=np.uint8)
