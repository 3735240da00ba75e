"""A sheet of photos: frames, captions, marks and headings, drawn into one array."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from outliers_bench.reports.tiles import (
    FRAME,
    LINE,
    PAPER,
    TILE,
    Color,
    fit,
    font,
    shorten,
    text_line,
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
_MARK = 26  # side in pixels


class Sheet:
    """White sheet, drawn piece by piece; positions are in pixels from its upper left corner.

    Parameters
    ----------
    width, height : int

    Attributes
    ----------
    pixels : array of uint8, shape (height, width, 3)
        RGB.
    """

    def __init__(self, width: int, height: int) -> None:
        self.pixels: RGB = np.empty((height, width, 3), np.uint8)
        self.pixels[:] = np.full((width, 3), PAPER, np.uint8)  # row by row: ten times as fast

    def fill(self, color: Color, *, left: int, top: int, width: int, height: int) -> None:
        """Fill a rectangle."""
        self.pixels[top : top + height, left : left + width] = color

    def paste(self, pixels: RGB, *, left: int, top: int) -> None:
        """Copy pixels."""
        height, width = pixels.shape[:2]
        self.pixels[top : top + height, left : left + width] = pixels

    def photo(
        self,
        shown: RGB | None,
        *,
        left: int,
        top: int,
        frame: Color = BAND,
        width: int = TILE,
        height: int = TILE,
        missing: str = "unreadable",
    ) -> tuple[int, int]:
        """Draw a photo in the middle of a frame, or a text on gray if it is missing (None).

        Returns the left and top edges of the photo.
        """
        text = missing if shown is None else ""
        self.paste(_empty_frame(frame, width, height, text), left=left, top=top)
        if shown is None:
            return left, top
        left += (width - shown.shape[1]) // 2
        top += (height - shown.shape[0]) // 2
        self.paste(shown, left=left, top=top)
        return left, top

    def caption(
        self,
        lines: Iterable[tuple[str, Color]],
        *,
        left: int,
        top: int,
        paper: Color = PAPER,
    ) -> None:
        """Write lines of text, each in its color, below a tile."""
        for number, (text, ink) in enumerate(lines):
            line_top = top + TILE + 2 + number * LINE
            self.paste(text_line(text, ink, paper), left=left, top=line_top)

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
        with self.drawing(left=left, top=top, width=length, height=2 * size) as draw:
            draw.text((0, 0), text, fill=ink, font=font(size))

    def mark(self, *, relevant: bool, right: int, top: int) -> None:
        """Draw a tick or a cross at the upper right corner of a frame."""
        self.paste(_mark(relevant=relevant), left=right - _MARK, top=top)

    def legend(self, *, right: int, top: int) -> None:
        """Draw the legend of the marks, right-aligned at `right`."""
        for text, relevant in (("other class", False), ("same class", True)):
            right -= round(font(14).getlength(text))
            self.write(text, left=right, top=top + 2, ink=FAINT)
            right -= 24
            self.paste(fit(_mark(relevant=relevant), 18, 18), left=right, top=top)
            right -= 16

    @contextmanager
    def drawing(self, *, left: int, top: int, width: int, height: int) -> Iterator[ImageDraw]:
        """Let Pillow draw on a rectangle."""
        from PIL import Image, ImageDraw

        area = self.pixels[top : top + height, left : left + width]
        image = Image.fromarray(np.ascontiguousarray(area))
        yield ImageDraw.Draw(image)
        area[:] = np.asarray(image)


@cache
def _empty_frame(frame: Color, width: int, height: int, text: str) -> RGB:
    tile = Sheet(width, height)
    tile.fill(frame, left=0, top=0, width=width, height=height)
    inside = {"width": width - 2 * FRAME, "height": height - 2 * FRAME}
    tile.fill(UNREADABLE if text else BAND, left=FRAME, top=FRAME, **inside)
    with tile.drawing(left=0, top=0, width=width, height=height) as draw:
        draw.text((width / 2, height / 2), text, fill=INK, font=font(14), anchor="mm")
    return tile.pixels


@cache
def _mark(*, relevant: bool) -> RGB:
    """Draw a tick or a cross; not every font has these characters."""
    from PIL import Image, ImageDraw

    mark = Image.new("RGB", (_MARK, _MARK), RELEVANT if relevant else IRRELEVANT)
    draw = ImageDraw.Draw(mark)
    if relevant:
        draw.line([(6, 13), (11, 18), (20, 8)], fill=PAPER, width=3, joint="curve")
    else:
        draw.line([(7, 7), (19, 19)], fill=PAPER, width=3)
        draw.line([(7, 19), (19, 7)], fill=PAPER, width=3)
    return np.asarray(mark)
