"""A sheet of photos: frames, captions, marks and headings, drawn into one array."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from outliers_bench.reports.tiles import (
    BGR,
    FRAME,
    INSIDE,
    LINE,
    PAPER,
    TILE,
    Color,
    font,
    shorten,
    to_bgr,
)
from outliers_bench.types import RGB

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

MARGIN = 24
# Okabe and Ito's bluish green and vermilion: distinct to readers with color vision deficiency, as
# are the marks.
RELEVANT = (0, 158, 115)
IRRELEVANT = (213, 94, 0)
NEUTRAL = (150, 156, 164)
QUERY = (40, 52, 71)
INK, FAINT, BAND = (28, 33, 40), (105, 113, 122), (243, 245, 248)
UNREADABLE = (205, 208, 212)
MARK = 26  # side in pixels


class Sheet:
    """White sheet, drawn piece by piece; positions are in pixels from its upper left corner.

    Parameters
    ----------
    width, height : int

    Attributes
    ----------
    pixels : array of uint8, shape (height, width, 3)
        BGR, the order in which OpenCV encodes them.
    """

    def __init__(self, width: int, height: int) -> None:
        self.pixels: BGR = np.empty((height, width, 3), np.uint8)
        self.pixels[:] = np.full((width, 3), PAPER, np.uint8)  # row by row: ten times as fast

    @property
    def rgb(self) -> RGB:
        """The pixels in RGB order, uncopied."""
        return self.pixels[..., ::-1]

    def fill(self, color: Color, *, left: int, top: int, width: int, height: int) -> None:
        """Fill a rectangle."""
        self.pixels[top : top + height, left : left + width] = color[::-1]

    def paste(self, pixels: BGR, *, left: int, top: int) -> None:
        """Copy pixels."""
        height, width = pixels.shape[:2]
        self.pixels[top : top + height, left : left + width] = pixels

    def photo(self, shown: BGR | None, *, left: int, top: int, frame: Color = BAND) -> None:
        """Draw a tile with a photo in the middle, or a gray one if it is unreadable (None)."""
        self.paste(_empty_tile(frame, unreadable=shown is None), left=left, top=top)
        if shown is not None:
            height, width = shown.shape[:2]
            x, y = left + FRAME + (INSIDE - width) // 2, top + FRAME + (INSIDE - height) // 2
            self.paste(shown, left=x, top=y)

    def caption(self, lines: Iterable[BGR], *, left: int, top: int) -> None:
        """Draw lines of text below a tile."""
        for number, pixels in enumerate(lines):
            self.paste(pixels, left=left, top=top + TILE + 2 + number * LINE)

    def write(
        self,
        text: str,
        *,
        left: int,
        top: int,
        width: int | None = None,
        ink: Color = INK,
        size: int = 14,
    ) -> None:
        """Write a line of text, which loses its middle if it is wider than `width`."""
        text = text if width is None else shorten(text, width, size=size)
        length = int(font(size).getlength(text)) + 4
        with self._drawing(left=left, top=top, width=length, height=2 * size) as draw:
            draw.text((0, 0), text, fill=ink, font=font(size))

    def write_centered(self, text: str, *, left: int, top: int, width: int, height: int) -> None:
        """Write a line of text in the middle of a rectangle."""
        with self._drawing(left=left, top=top, width=width, height=height) as draw:
            draw.text((width / 2, height / 2), text, fill=INK, font=font(14), anchor="mm")

    def mark(self, *, relevant: bool, left: int, top: int) -> None:
        """Draw a tick or a cross in a square of `MARK` pixels."""
        self.paste(_mark(relevant=relevant), left=left, top=top)

    def legend(self, *, right: int, top: int) -> None:
        """Draw the legend of the marks, right-aligned at `right`."""
        from PIL import Image

        for text, relevant in (("other class", False), ("same class", True)):
            right -= round(font(14).getlength(text))
            self.write(text, left=right, top=top + 2, ink=FAINT)
            mark = Image.fromarray(_mark(relevant=relevant))
            right -= 24
            self.paste(
                np.asarray(mark.resize((18, 18), Image.Resampling.LANCZOS)), left=right, top=top
            )
            right -= 16

    @contextmanager
    def _drawing(self, *, left: int, top: int, width: int, height: int) -> Iterator[ImageDraw]:
        """Let Pillow draw on a rectangle."""
        from PIL import Image, ImageDraw

        area = self.pixels[top : top + height, left : left + width]
        image = Image.fromarray(np.ascontiguousarray(area[..., ::-1]))
        yield ImageDraw.Draw(image)
        area[:] = to_bgr(image)


@cache
def _empty_tile(frame: Color, *, unreadable: bool) -> BGR:
    tile = Sheet(TILE, TILE)
    tile.fill(frame, left=0, top=0, width=TILE, height=TILE)
    inside = UNREADABLE if unreadable else BAND
    tile.fill(inside, left=FRAME, top=FRAME, width=INSIDE, height=INSIDE)
    if unreadable:
        tile.write_centered("unreadable", left=0, top=0, width=TILE, height=TILE)
    return tile.pixels


@cache
def _mark(*, relevant: bool) -> BGR:
    """Draw a tick or a cross; not every font has these characters."""
    from PIL import Image, ImageDraw

    mark = Image.new("RGB", (MARK, MARK), RELEVANT if relevant else IRRELEVANT)
    draw = ImageDraw.Draw(mark)
    if relevant:
        draw.line([(6, 13), (11, 18), (20, 8)], fill=PAPER, width=3, joint="curve")
    else:
        draw.line([(7, 7), (19, 19)], fill=PAPER, width=3)
        draw.line([(7, 19), (19, 7)], fill=PAPER, width=3)
    return to_bgr(mark)
