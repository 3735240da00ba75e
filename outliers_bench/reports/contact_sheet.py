"""Contact sheets of queries and their results, with relevant and irrelevant ones marked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import cache, lru_cache
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from outliers_bench.reports.numbers import format_score, metric_title
from outliers_bench.reports.select_queries import SelectedQuery, quality_metric, select_queries
from outliers_bench.reports.tiles import (
    BGR,
    FRAME,
    INSIDE,
    LINE,
    PAPER,
    TILE,
    Color,
    cached_photo,
    font,
    number_line,
    read_photo,
    text_line,
    to_bgr,
)
from outliers_bench.result import Result
from outliers_bench.runtime.machine import cores
from outliers_bench.types import RGB, ImageSet

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
_GAP, _CAPTION, _HEADER, _QUERY_GAP = 10, 40, 64, 22
_MARK = 26  # side in pixels
_HEADERS = 8  # of some 400 kB each, cached for the next sheets
_THREADS = 4  # each may hold an image of 400 MB
_HEADINGS = {
    "best": "Best queries: from the top tenth",
    "typical": "Typical queries: around the median",
    "worst": "Worst queries: from the bottom tenth",
    "sample": "A sample of the queries (no labels, so nothing is marked)",
}


def draw_contact_sheets(result: Result, *, queries: int, depth: int, seed: int) -> dict[str, RGB]:
    """Draw queries, each followed by its best-ranked gallery images.

    Parameters
    ----------
    result : Result
        Result of a run.
    queries : int
        Rows on each sheet; 0 draws no sheets.
    depth : int
        Gallery images in each row.
    seed : int
        Seed of the selection of queries.

    Returns
    -------
    dict of str to array of uint8, shape (height, width, 3)
        `best`, `typical` and `worst` of the scored queries, or `sample` without labels. RGB views
        of arrays in BGR order, in which OpenCV encodes them. Only the images shown are decoded;
        unreadable ones are gray.
    """
    depth = min(depth, result.ranking.depth)
    selected = select_queries(result, queries=queries, seed=seed)
    pool = ThreadPoolExecutor(min(cores(), _THREADS))
    try:
        # The threads continue with the next sheet while this one is being drawn.
        photos = {name: _read_photos(pool, result, rows, depth) for name, rows in selected.items()}
        return {
            name: _draw_sheet(result, name, rows, depth=depth, photos=photos[name])[..., ::-1]
            for name, rows in selected.items()
            if rows
        }
    finally:
        pool.shutdown(cancel_futures=True)


def _read_photos(
    pool: Executor, result: Result, selected: Sequence[SelectedQuery], depth: int
) -> Iterator[BGR | None]:
    """Yield the tiles of a sheet, row by row, the query first; decoded and scaled by the pool."""
    shown = [
        (part, int(row))
        for query in selected
        for part, rows in (
            (result.split.query, [query.row]),
            (result.split.gallery, result.ranking.indices[query.row, :depth]),
        )
        for row in rows
    ]
    # The threads are started by the first task, so only if an image has to be decoded.
    tiles = [
        tile if (tile := cached_photo(*image)) is not None else pool.submit(read_photo, *image)
        for image in shown
    ]
    return (tile if isinstance(tile, np.ndarray) else tile.result() for tile in tiles)


def row_top(row: int) -> int:
    """Return the top edge, in pixels, of the tiles of a row."""
    return MARGIN + _HEADER + row * (TILE + _CAPTION + _GAP)


def column_left(column: int) -> int:
    """Return the left edge, in pixels, of the tiles of a column; column 0 holds the queries."""
    return MARGIN + column * (TILE + _GAP) + (_QUERY_GAP if column else 0)


def _draw_sheet(
    result: Result,
    name: str,
    selected: list[SelectedQuery],
    *,
    depth: int,
    photos: Iterator[BGR | None],
) -> BGR:
    width = column_left(depth) + TILE + MARGIN
    height = row_top(len(selected)) - _GAP + MARGIN
    background = np.full((width, 3), PAPER[::-1], dtype=np.uint8)
    background[: column_left(0) + TILE + (_GAP + _QUERY_GAP) // 2 + 1] = BAND[::-1]
    sheet = np.empty((height, width, 3), dtype=np.uint8)
    sheet[:] = background
    heading = f"{result.split.name}   |   {_HEADINGS[name]}"
    header = _header(heading, width, legend=result.split.labeled)
    sheet[: len(header)] = header
    for row, query in enumerate(selected):
        _draw_row(sheet, result, query, row=row, photos=list(islice(photos, 1 + depth)))
    return sheet


@lru_cache(_HEADERS)
def _header(heading: str, width: int, *, legend: bool) -> BGR:
    """Draw the header of a sheet: heading, titles of the columns and legend."""
    from PIL import Image, ImageDraw

    header = Image.new("RGB", (width, row_top(0) - _GAP), PAPER)
    draw = ImageDraw.Draw(header)
    draw.text((MARGIN, MARGIN - 6), heading, fill=INK, font=font(22))
    titles_top = header.height - 20
    draw.text((MARGIN, titles_top), "query", fill=FAINT, font=font(14))
    draw.text((column_left(1), titles_top), "results, best first", fill=FAINT, font=font(14))
    if legend:
        draw_legend(draw, right=width - MARGIN, top=titles_top - 2)
    return to_bgr(header)


def _draw_row(
    sheet: BGR, result: Result, selected: SelectedQuery, *, row: int, photos: list[BGR | None]
) -> None:
    query, gallery = result.split.query, result.split.gallery
    query_label = _label(query, selected.row)
    top = row_top(row)
    detail = ""
    if selected.quality is not None:
        detail = f"{metric_title(quality_metric(result))} {format_score(selected.quality)}"
    _draw_tile(sheet, photos[0], left=column_left(0), top=top, frame=QUERY)
    lines = (
        text_line(query_label or query.names[selected.row], INK, BAND),
        text_line(detail, FAINT, BAND),
    )
    _draw_caption(sheet, lines, left=column_left(0), top=top)
    for rank, shown in enumerate(photos[1:]):
        match = int(result.ranking.indices[selected.row, rank])
        label = _label(gallery, match)
        relevant = None if query_label is None or label is None else label == query_label
        left = column_left(rank + 1)
        frame = {True: RELEVANT, False: IRRELEVANT, None: NEUTRAL}[relevant]
        _draw_tile(sheet, shown, left=left, top=top, frame=frame)
        if relevant is not None:
            _paste(sheet, _mark(relevant=relevant), left=left + TILE - _MARK, top=top)
        similarity = f"{rank + 1}. {result.ranking.scores[selected.row, rank]:.3f}"
        lines = (
            text_line(label or gallery.names[match], INK, PAPER),
            number_line(similarity, FAINT, PAPER),
        )
        _draw_caption(sheet, lines, left=left, top=top)


def _label(part: ImageSet, row: int) -> str | None:
    return None if part.labels is None else part.classes[int(part.labels[row])]


def _paste(sheet: BGR, pixels: BGR, *, left: int, top: int) -> None:
    height, width = pixels.shape[:2]
    sheet[top : top + height, left : left + width] = pixels


def _draw_tile(sheet: BGR, shown: BGR | None, *, left: int, top: int, frame: Color) -> None:
    """Draw a photo in the middle of a frame, or a gray tile if it is unreadable."""
    _paste(sheet, _frame(frame, unreadable=shown is None), left=left, top=top)
    if shown is not None:
        height, width = shown.shape[:2]
        x, y = left + FRAME + (INSIDE - width) // 2, top + FRAME + (INSIDE - height) // 2
        _paste(sheet, shown, left=x, top=y)


@cache
def _frame(color: Color, *, unreadable: bool) -> BGR:
    """Draw an empty tile."""
    from PIL import Image, ImageDraw

    tile = Image.new("RGB", (TILE, TILE), color)
    draw = ImageDraw.Draw(tile)
    inside = (FRAME, FRAME, TILE - FRAME - 1, TILE - FRAME - 1)
    draw.rectangle(inside, fill=UNREADABLE if unreadable else BAND)
    if unreadable:
        draw.text((TILE / 2, TILE / 2), "unreadable", fill=INK, font=font(14), anchor="mm")
    return to_bgr(tile)


@cache
def _mark(*, relevant: bool) -> BGR:
    from PIL import Image, ImageDraw

    mark = Image.new("RGB", (_MARK, _MARK))
    draw_mark(ImageDraw.Draw(mark), relevant=relevant, left=0, top=0)
    return to_bgr(mark)


def draw_mark(draw: ImageDraw, *, relevant: bool, left: int, top: int) -> None:
    """Draw a tick or a cross in a square of 26 pixels; not every font has these characters."""
    draw.rectangle((left, top, left + 25, top + 25), fill=RELEVANT if relevant else IRRELEVANT)
    if relevant:
        points = [(left + 6, top + 13), (left + 11, top + 18), (left + 20, top + 8)]
        draw.line(points, fill=PAPER, width=3, joint="curve")
    else:
        for start, end in (((7, 7), (19, 19)), ((7, 19), (19, 7))):
            ends = [(left + start[0], top + start[1]), (left + end[0], top + end[1])]
            draw.line(ends, fill=PAPER, width=3)


def draw_legend(draw: ImageDraw, *, right: int, top: int) -> None:
    """Draw the legend of the marks, right-aligned at `right`."""
    from PIL import Image, ImageDraw

    for text, relevant in (("other class", False), ("same class", True)):
        right -= round(draw.textlength(text, font=font(14)))
        draw.text((right, top + 2), text, fill=FAINT, font=font(14))
        mark = Image.new("RGB", (26, 26))
        draw_mark(ImageDraw.Draw(mark), relevant=relevant, left=0, top=0)
        right -= 24
        draw._image.paste(mark.resize((18, 18), Image.Resampling.LANCZOS), (right, top))
        right -= 16


def _draw_caption(sheet: BGR, lines: tuple[BGR, BGR], *, left: int, top: int) -> None:
    for number, pixels in enumerate(lines):
        _paste(sheet, pixels, left=left, top=top + TILE + 2 + number * LINE)
