"""What contact sheets are made of: small photos and lines of text, kept for the next sheet.

Pixels here are blue, green, red: the order in which OpenCV encodes them.
"""

from __future__ import annotations

from bisect import bisect_left
from functools import cache, lru_cache
from itertools import pairwise
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from outliers_bench.data.opencv import opencv
from outliers_bench.errors import UnreadableImageError
from outliers_bench.types import RGB, ImageSet

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFont import FreeTypeFont, ImageFont

BGR = npt.NDArray[np.uint8]
Color = tuple[int, int, int]  # red, green, blue

TILE = 150  # pixels a side, frame included
FRAME = 5
INSIDE = TILE - 2 * FRAME
LINE = 17  # pixels from one line of a caption to the next
PAPER = (255, 255, 255)
SHARP_FROM = 3.0  # enlarged more than this, pixels are shown as they are, not smeared
_SIZE = 14  # of a caption's letters, in pixels
_EDGE = 2  # pixels of paper on either side of a caption
_LINES = 2048  # of at most 8 kB
_CELLS = 1024  # of at most 1 kB
_PHOTOS = 512  # of at most 59 kB: those of more than two runs with pictures as they are by default

_photos: dict[bytes, BGR] = {}  # by the digest of what they were made of, last used last
_lock = Lock()


def kept_photo(part: ImageSet, row: int) -> BGR | None:
    """What `photo` would give, if it stood on one of the last sheets."""
    digest = part.digests[row]
    with _lock:
        known = _photos.pop(digest, None)
        if known is not None:
            _photos[digest] = known
        return known


def photo(part: ImageSet, row: int) -> BGR | None:
    """One image, whole, its proportions kept, as large as a frame holds; None if unreadable.

    The variants of a sweep picture many of the same photos, so the last ones are kept.
    """
    known = kept_photo(part, row)
    if known is not None:
        return known
    try:
        made = bgr(_fitted(part.read(row, side=TILE)))
    except (UnreadableImageError, OSError):
        return None
    with _lock:
        _photos[part.digests[row]] = made
        while len(_photos) > _PHOTOS:
            del _photos[next(iter(_photos))]
    return made


def bgr(image: RGB | Image) -> BGR:
    """Red and blue exchanged."""
    turned: BGR = opencv().cvtColor(np.asarray(image), opencv().COLOR_RGB2BGR)
    return turned


def _fitted(image: RGB) -> RGB:
    # Area averaging is what Pillow's filters come to where an image shrinks, many times faster.
    from outliers_bench.data.decode import shrink

    if max(image.shape[:2]) >= INSIDE:
        return shrink(image, INSIDE)
    from PIL import Image

    scale = INSIDE / max(image.shape[:2])
    method = Image.Resampling.NEAREST if scale > SHARP_FROM else Image.Resampling.LANCZOS
    high, wide = (max(1, round(side * scale)) for side in image.shape[:2])
    enlarged = Image.fromarray(np.ascontiguousarray(image)).resize((wide, high), method)
    return np.asarray(enlarged)


@lru_cache(_LINES)
def line(text: str, ink: Color, paper: Color) -> BGR:
    """A line of a caption, as wide as a tile, its middle left out where it is too long."""
    from PIL import Image, ImageDraw

    strip = Image.new("RGB", (TILE, LINE), paper)
    ImageDraw.Draw(strip).text(
        (_EDGE, 0), shortened(text, TILE - 2 * _EDGE), fill=ink, font=font(_SIZE)
    )
    return bgr(strip)


def numbers(text: str, ink: Color, paper: Color) -> BGR:
    """What `line` makes of digits, no wider than needed, and many times faster.

    Scores are hardly ever the same twice, so that keeping lines would not help.
    """
    margin = _after(" ", " ", ink, paper)[:, :_EDGE]
    cells = [_after(before, each, ink, paper) for before, each in pairwise(f" {text} ")]
    strip = np.concatenate([margin, *cells], axis=1)
    return strip if strip.shape[1] <= TILE else line(text, ink, paper)


@lru_cache(_CELLS)
def _after(before: str, char: str, ink: Color, paper: Color) -> BGR:
    """A character with what the one before it leaves there, and nothing of the next."""
    from PIL import Image, ImageDraw

    start, end = (round(font(_SIZE).getlength(text)) for text in (before, before + char))
    cell = Image.new("RGB", (end - start, LINE), paper)
    ImageDraw.Draw(cell).text((-start, 0), before + char, fill=ink, font=font(_SIZE))
    return bgr(cell)


def shortened(text: str, width: int, *, size: int = _SIZE) -> str:
    """The text, its middle left out where it is wider than so many pixels."""
    text = " ".join(text.split())
    wide = font(size).getlength
    if wide(text) <= width:
        return text

    def short(left_out: int) -> str:
        kept = len(text) - left_out
        return f"{text[: (kept + 1) // 2]}...{text[len(text) - kept // 2 :]}"

    ways = range(1, max(len(text) - 1, 1))
    least = bisect_left(ways, True, key=lambda left_out: wide(short(left_out)) <= width)
    return short(ways[least]) if least < len(ways) else text[:2]


@cache
def font(size: int) -> FreeTypeFont | ImageFont:
    """The font of that many pixels, without depending on the machine's."""
    from PIL import ImageFont

    return ImageFont.load_default(size)
