"""Tiles of contact sheets: small photos and lines of text, cached for the next sheet."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache, lru_cache
from itertools import pairwise
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from outliers_bench.data.opencv import opencv
from outliers_bench.errors import UnreadableImageError
from outliers_bench.runtime.machine import cores
from outliers_bench.types import RGB, ImageSet

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont, ImageFont

Color = tuple[int, int, int]  # red, green, blue

TILE = 150  # side in pixels, with the frame
FRAME = 5
INSIDE = TILE - 2 * FRAME
LINE = 17  # height in pixels of a line of a caption
PAPER = (255, 255, 255)
_SHARP_FROM = 3.0  # scale above which pixels are enlarged without interpolation
_SIZE = 14  # font size of a caption, in pixels
_EDGE = 2  # pixels of paper on either side of a caption
_LINES = 2048  # of at most 8 kB each
_CELLS = 512
_OF_NUMBERS = frozenset("0123456789. -")
_THREADS = 4  # each may hold an image of 400 MB
_PHOTOS = 512  # of at most 59 kB each: more than two runs have on their sheets by default

_photos: dict[bytes, RGB] = {}  # by image digest, oldest first
_lock = Lock()


def read_photos(images: Iterable[tuple[ImageSet, int]]) -> Generator[RGB | None]:
    """Yield images in order, scaled to fit into a tile, or None if unreadable.

    Threads decode and scale them while the caller draws; the first images not cached start them.
    The runs of a sweep show many of the same photos, so the most recent ones are cached.
    """
    pool = ThreadPoolExecutor(min(cores(), _THREADS))
    try:
        items = [
            photo
            if (photo := _photos.get(part.digests[row])) is not None
            else pool.submit(_read_photo, part, row)
            for part, row in images
        ]
        for item in items:
            yield item.result() if isinstance(item, Future) else item
    finally:
        pool.shutdown(cancel_futures=True)


def _read_photo(part: ImageSet, row: int) -> RGB | None:
    photo = _photos.get(part.digests[row])  # another thread may have read it
    if photo is not None:
        return photo
    try:
        photo = fit(part.read(row, side=TILE), INSIDE, INSIDE)
    except (UnreadableImageError, OSError):
        return None
    with _lock:
        _photos[part.digests[row]] = photo
        while len(_photos) > _PHOTOS:
            del _photos[next(iter(_photos))]
    return photo


def fit(image: RGB, width: int, height: int) -> RGB:
    """Scale an image to fit into a rectangle, preserving its aspect ratio."""
    cv2 = opencv()
    scale = min(width / image.shape[1], height / image.shape[0])
    size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    # Few pixels are shown as they are.
    method = cv2.INTER_NEAREST if scale > _SHARP_FROM else method
    scaled: RGB = cv2.resize(image, size, interpolation=method)
    return scaled


def text_line(text: str, ink: Color, paper: Color) -> RGB:
    """Draw a line of a caption, at most as wide as a tile; a long text loses its middle."""
    return (_number_line if _OF_NUMBERS.issuperset(text) else _line)(text, ink, paper)


def _number_line(text: str, ink: Color, paper: Color) -> RGB:
    """Draw numbers, many times faster than other text.

    Scores are rarely equal, so caching whole lines would not help; single characters are cached.
    """
    margin = _character(" ", " ", ink, paper)[:, :_EDGE]
    cells = [_character(before, each, ink, paper) for before, each in pairwise(f" {text} ")]
    strip = np.concatenate([margin, *cells], axis=1)
    return strip if strip.shape[1] <= TILE else _line(text, ink, paper)


@lru_cache(_CELLS)
def _character(before: str, char: str, ink: Color, paper: Color) -> RGB:
    """Draw a character that follows another, without the one that comes next."""
    from PIL import Image, ImageDraw

    start, end = (round(font(_SIZE).getlength(text)) for text in (before, before + char))
    cell = Image.new("RGB", (end - start, LINE), paper)
    ImageDraw.Draw(cell).text((-start, 0), before + char, fill=ink, font=font(_SIZE))
    return np.asarray(cell)


@lru_cache(_LINES)
def _line(text: str, ink: Color, paper: Color) -> RGB:
    from PIL import Image, ImageDraw

    strip = Image.new("RGB", (TILE, LINE), paper)
    ImageDraw.Draw(strip).text(
        (_EDGE, 0), shorten(text, TILE - 2 * _EDGE), fill=ink, font=font(_SIZE)
    )
    return np.asarray(strip)


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
