"""Queries beside what was found for them, right and wrong marked, as pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import cache, lru_cache
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from outliers_bench.reports.numbers import score, title
from outliers_bench.reports.select_queries import Pick, pick_queries, quality_name
from outliers_bench.reports.tiles import (
    BGR,
    FRAME,
    INSIDE,
    LINE,
    PAPER,
    TILE,
    Color,
    bgr,
    font,
    kept_photo,
    line,
    numbers,
    photo,
)
from outliers_bench.result import Result
from outliers_bench.runtime.machine import cores
from outliers_bench.types import RGB, ImageSet

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

MARGIN = 24
# Okabe and Ito's bluish green and vermilion: told apart without red-green vision; so are the marks.
RIGHT = (0, 158, 115)
WRONG = (213, 94, 0)
NEUTRAL = (150, 156, 164)
QUERY = (40, 52, 71)
INK, FAINT, BAND = (28, 33, 40), (105, 113, 122), (243, 245, 248)
UNREADABLE = (205, 208, 212)
_GAP, _CAPTION, _HEADER, _QUERY_GAP = 10, 40, 64, 22
_MARK = 26  # pixels a side
_HEADERS = 8  # of some 400 kB, kept for the next sheets
_THREADS = 4  # each may hold an image of 400 MB
_HEADINGS = {
    "best": "Best queries: from the top tenth",
    "typical": "Typical queries: around the median",
    "worst": "Worst queries: from the bottom tenth",
    "sample": "A sample of the queries (no labels, so nothing is marked)",
}


def contact_sheets(result: Result, *, queries: int, depth: int, seed: int) -> dict[str, RGB]:
    """Draw queries, each with its best-ranked gallery images beside it.

    Parameters
    ----------
    result : Result
        What a run found.
    queries : int
        Rows on each sheet; 0 draws none.
    depth : int
        Gallery images beside each query.
    seed : int
        Decides which queries are shown.

    Returns
    -------
    dict of str to array of uint8, shape (height, width, 3)
        `best`, `typical` and `worst` of the scored queries, or `sample` where there are no
        labels. RGB, as views of pixels that lie in memory the other way round, as OpenCV encodes
        them. Only the images shown are decoded; unreadable ones are gray.
    """
    depth = min(depth, result.ranking.depth)
    chosen = pick_queries(result, queries=queries, seed=seed)
    pool = ThreadPoolExecutor(min(cores(), _THREADS))
    try:
        # The threads go on with the next sheet while this one is being drawn.
        photos = {name: _photos(pool, result, picks, depth) for name, picks in chosen.items()}
        return {
            name: _draw_sheet(result, name, picks, depth=depth, photos=photos[name])[..., ::-1]
            for name, picks in chosen.items()
            if picks
        }
    finally:
        pool.shutdown(cancel_futures=True)


def _photos(
    pool: Executor, result: Result, picks: Sequence[Pick], depth: int
) -> Iterator[BGR | None]:
    """What a sheet shows, row by row, the query first; decoded and made small by the pool."""
    shown = [
        (part, int(row))
        for pick in picks
        for part, rows in (
            (result.split.query, [pick.row]),
            (result.split.gallery, result.ranking.indices[pick.row, :depth]),
        )
        for row in rows
    ]
    # The pool, begun by its first task, is only for what has to be decoded.
    found = [
        kept if (kept := kept_photo(*image)) is not None else pool.submit(photo, *image)
        for image in shown
    ]
    return (each if isinstance(each, np.ndarray) else each.result() for each in found)


def row_top(row: int) -> int:
    """Top edge, in pixels, of the tiles of a row."""
    return MARGIN + _HEADER + row * (TILE + _CAPTION + _GAP)


def column_left(column: int) -> int:
    """Left edge, in pixels, of a column's tile; column 0 holds the query."""
    return MARGIN + column * (TILE + _GAP) + (_QUERY_GAP if column else 0)


def _draw_sheet(
    result: Result, name: str, picks: list[Pick], *, depth: int, photos: Iterator[BGR | None]
) -> BGR:
    width = column_left(depth) + TILE + MARGIN
    height = row_top(len(picks)) - _GAP + MARGIN
    background = np.full((width, 3), PAPER[::-1], dtype=np.uint8)
    background[: column_left(0) + TILE + (_GAP + _QUERY_GAP) // 2 + 1] = BAND[::-1]
    sheet = np.empty((height, width, 3), dtype=np.uint8)
    sheet[:] = background
    heading = f"{result.split.name}   |   {_HEADINGS[name]}"
    header = _header(heading, width, legend=result.split.labeled)
    sheet[: len(header)] = header
    for row, pick in enumerate(picks):
        _draw_row(sheet, result, pick, row=row, photos=list(islice(photos, 1 + depth)))
    return sheet


@lru_cache(_HEADERS)
def _header(heading: str, width: int, *, legend: bool) -> BGR:
    """What stands above the rows of a sheet."""
    from PIL import Image, ImageDraw

    header = Image.new("RGB", (width, row_top(0) - _GAP), PAPER)
    draw = ImageDraw.Draw(header)
    draw.text((MARGIN, MARGIN - 6), heading, fill=INK, font=font(22))
    titles_top = header.height - 20
    draw.text((MARGIN, titles_top), "query", fill=FAINT, font=font(14))
    draw.text((column_left(1), titles_top), "found, best first", fill=FAINT, font=font(14))
    if legend:
        draw_legend(draw, right=width - MARGIN, top=titles_top - 2)
    return bgr(header)


def _draw_row(
    sheet: BGR, result: Result, pick: Pick, *, row: int, photos: list[BGR | None]
) -> None:
    query, gallery = result.split.query, result.split.gallery
    asked = _label(query, pick.row)
    top = row_top(row)
    measure = quality_name(result)
    detail = "" if pick.quality is None else f"{title(measure)} {score(pick.quality)}"
    _draw_tile(sheet, photos[0], left=column_left(0), top=top, frame=QUERY)
    lines = line(asked or query.names[pick.row], INK, BAND), line(detail, FAINT, BAND)
    _draw_caption(sheet, lines, left=column_left(0), top=top)
    for rank, shown in enumerate(photos[1:]):
        found = int(result.ranking.indices[pick.row, rank])
        label = _label(gallery, found)
        right = None if asked is None or label is None else label == asked
        left = column_left(rank + 1)
        frame = NEUTRAL if right is None else (RIGHT if right else WRONG)
        _draw_tile(sheet, shown, left=left, top=top, frame=frame)
        if right is not None:
            _paste(sheet, _mark(right=right), left=left + TILE - _MARK, top=top)
        similarity = f"{rank + 1}. {result.ranking.scores[pick.row, rank]:.3f}"
        lines = line(label or gallery.names[found], INK, PAPER), numbers(similarity, FAINT, PAPER)
        _draw_caption(sheet, lines, left=left, top=top)


def _label(part: ImageSet, row: int) -> str | None:
    return None if part.labels is None else part.classes[int(part.labels[row])]


def _paste(sheet: BGR, pixels: BGR, *, left: int, top: int) -> None:
    high, wide = pixels.shape[:2]
    sheet[top : top + high, left : left + wide] = pixels


def _draw_tile(sheet: BGR, shown: BGR | None, *, left: int, top: int, frame: Color) -> None:
    """A photo in the middle of a frame, or a gray tile that says there is none."""
    _paste(sheet, _frame(frame, unreadable=shown is None), left=left, top=top)
    if shown is not None:
        high, wide = shown.shape[:2]
        place = left + FRAME + (INSIDE - wide) // 2, top + FRAME + (INSIDE - high) // 2
        _paste(sheet, shown, left=place[0], top=place[1])


@cache
def _frame(color: Color, *, unreadable: bool) -> BGR:
    """A tile without its photo."""
    from PIL import Image, ImageDraw

    tile = Image.new("RGB", (TILE, TILE), color)
    draw = ImageDraw.Draw(tile)
    inside = (FRAME, FRAME, TILE - FRAME - 1, TILE - FRAME - 1)
    draw.rectangle(inside, fill=UNREADABLE if unreadable else BAND)
    if unreadable:
        draw.text((TILE / 2, TILE / 2), "unreadable", fill=INK, font=font(14), anchor="mm")
    return bgr(tile)


@cache
def _mark(*, right: bool) -> BGR:
    from PIL import Image, ImageDraw

    mark = Image.new("RGB", (_MARK, _MARK))
    draw_mark(ImageDraw.Draw(mark), right=right, left=0, top=0)
    return bgr(mark)


def draw_mark(draw: ImageDraw, *, right: bool, left: int, top: int) -> None:
    """A tick or a cross in a square of 26 pixels, drawn: not every font has them."""
    draw.rectangle((left, top, left + 25, top + 25), fill=RIGHT if right else WRONG)
    if right:
        points = [(left + 6, top + 13), (left + 11, top + 18), (left + 20, top + 8)]
        draw.line(points, fill=PAPER, width=3, joint="curve")
    else:
        for start, end in (((7, 7), (19, 19)), ((7, 19), (19, 7))):
            ends = [(left + start[0], top + start[1]), (left + end[0], top + end[1])]
            draw.line(ends, fill=PAPER, width=3)


def draw_legend(draw: ImageDraw, *, right: int, top: int) -> None:
    """What the marks mean, ending at `right`."""
    from PIL import Image, ImageDraw

    for text, is_right in (("other class", False), ("same class", True)):
        right -= round(draw.textlength(text, font=font(14)))
        draw.text((right, top + 2), text, fill=FAINT, font=font(14))
        mark = Image.new("RGB", (26, 26))
        draw_mark(ImageDraw.Draw(mark), right=is_right, left=0, top=0)
        right -= 24
        draw._image.paste(mark.resize((18, 18), Image.Resampling.LANCZOS), (right, top))
        right -= 16


def _draw_caption(sheet: BGR, lines: tuple[BGR, BGR], *, left: int, top: int) -> None:
    for number, pixels in enumerate(lines):
        _paste(sheet, pixels, left=left, top=top + TILE + 2 + number * LINE)
