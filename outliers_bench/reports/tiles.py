"""Tiles of contact sheets: small photos and lines of text, cached for the next sheet.

Pixels are in BGR order, in which OpenCV encodes them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache, lru_cache
from itertools import pairwise
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from outliers_bench.data.opencv import opencv
from outliers_bench.errors import UnreadableImageError
from outliers_bench.runtime.machine import cores
from outliers_bench.types import RGB, ImageSet

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFont import FreeTypeFont, ImageFont

BGR = npt.NDArray[np.uint8]
Color = tuple[int, int, int]  # red, green, blue

TILE = 150  # side in pixels, with the frame
FRAME = 5
INSIDE = TILE - 2 * FRAME
LINE = 17  # height in pixels of a line of a caption
PAPER = (255, 255, 255)
SHARP_FROM = 3.0  # scale above which pixels are enlarged without interpolation
_SIZE = 14  # font size of a caption, in pixels
_EDGE = 2  # pixels of paper on either side of a caption
_LINES = 2048  # of at most 8 kB each
_CELLS = 1024  # of at most 1 kB each
_THREADS = 4  # each may hold an image of 400 MB
_PHOTOS = 512  # of at most 59 kB each: more than two runs have on their sheets by default

_photos: dict[bytes, BGR] = {}  # by image digest, least recently used first
_lock = Lock()


def cached_photo(part: ImageSet, row: int) -> BGR | None:
    """Return the tile of an image if it is cached, else None."""
    digest = part.digests[row]
    with _lock:
        tile = _photos.pop(digest, None)
        if tile is not None:
            _photos[digest] = tile
        return tile


def read_photo(part: ImageSet, row: int) -> BGR | None:
    """Read an image, scaled to fit into a frame; None if it is unreadable.

    The runs of a sweep show many of the same photos, so the most recent tiles are cached.
    """
    cached = cached_photo(part, row)
    if cached is not None:
        return cached
    try:
        tile = to_bgr(_fit(part.read(row, side=TILE)))
    except (UnreadableImageError, OSError):
        return None
    with _lock:
        _photos[part.digests[row]] = tile
        while len(_photos) > _PHOTOS:
            del _photos[next(iter(_photos))]
    return tile


def read_photos(images: Iterable[tuple[ImageSet, int]]) -> Generator[BGR | None]:
    """Yield the tiles of images, in order, see `read_photo`; decoded and scaled by threads.

    The threads continue while the caller draws; the first images not cached start them.
    """
    pool = ThreadPoolExecutor(min(cores(), _THREADS))
    try:
        photos = [
            tile if (tile := cached_photo(*image)) is not None else pool.submit(read_photo, *image)
            for image in images
        ]
        for photo in photos:
            yield photo.result() if isinstance(photo, Future) else photo
    finally:
        pool.shutdown(cancel_futures=True)


def to_bgr(image: RGB | Image) -> BGR:
    """Convert an image from RGB to BGR."""
    converted: BGR = opencv().cvtColor(np.asarray(image), opencv().COLOR_RGB2BGR)
    return converted


def _fit(image: RGB) -> RGB:
    # Area averaging is close to Pillow's filters when an image shrinks, and many times faster.
    from outliers_bench.data.decode import shrink

    if max(image.shape[:2]) >= INSIDE:
        return shrink(image, INSIDE)
    from PIL import Image

    scale = INSIDE / max(image.shape[:2])
    method = Image.Resampling.NEAREST if scale > SHARP_FROM else Image.Resampling.LANCZOS
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    enlarged = Image.fromarray(np.ascontiguousarray(image)).resize((width, height), method)
    return np.asarray(enlarged)


@lru_cache(_LINES)
def text_line(text: str, ink: Color, paper: Color) -> BGR:
    """Draw a line of a caption, as wide as a tile; a long text loses its middle."""
    from PIL import Image, ImageDraw

    strip = Image.new("RGB", (TILE, LINE), paper)
    ImageDraw.Draw(strip).text(
        (_EDGE, 0), shorten(text, TILE - 2 * _EDGE), fill=ink, font=font(_SIZE)
    )
    return to_bgr(strip)


def number_line(text: str, ink: Color, paper: Color) -> BGR:
    """Draw a number as `text_line` does, but no wider than needed and many times faster.

    Scores are rarely equal, so caching whole lines would not help; single characters are cached.
    """
    margin = _character(" ", " ", ink, paper)[:, :_EDGE]
    cells = [_character(before, each, ink, paper) for before, each in pairwise(f" {text} ")]
    strip = np.concatenate([margin, *cells], axis=1)
    return strip if strip.shape[1] <= TILE else text_line(text, ink, paper)


@lru_cache(_CELLS)
def _character(before: str, char: str, ink: Color, paper: Color) -> BGR:
    """Draw a character that follows another, without the one that comes next."""
    from PIL import Image, ImageDraw

    start, end = (round(font(_SIZE).getlength(text)) for text in (before, before + char))
    cell = Image.new("RGB", (end - start, LINE), paper)
    ImageDraw.Draw(cell).text((-start, 0), before + char, fill=ink, font=font(_SIZE))
    return to_bgr(cell)


def shorten(text: str, width: int, *, size: int = _SIZE) -> str:
    """Replace the middle of a text by an ellipsis if it is wider than `width` pixels."""
    text = " ".join(text.split())
    length = font(size).getlength
    if length(text) <= width:
        return text

    def remove(n: int) -> str:
        rest = len(text) - n
        return f"{text[: (rest + 1) // 2]}...{text[len(text) - rest // 2 :]}"

    options = range(1, max(len(text) - 1, 1))
    fewest = bisect_left(options, True, key=lambda n: length(remove(n)) <= width)
    return remove(options[fewest]) if fewest < len(options) else text[:2]


@cache
def font(size: int) -> FreeTypeFont | ImageFont:
    """Load Pillow's own font at a size in pixels, which is the same on every machine."""
    from PIL import ImageFont

    return ImageFont.load_default(size)
