"""Contact sheets of queries and their results, with relevant and irrelevant ones marked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import lru_cache
from itertools import islice

import numpy as np

from outliers_bench.errors import BenchError
from outliers_bench.reports.numbers import format_score, metric_title
from outliers_bench.reports.select_queries import SelectedQuery, quality_metric, select_queries
from outliers_bench.reports.sheet import (
    BAND,
    FAINT,
    INK,
    IRRELEVANT,
    MARGIN,
    NEUTRAL,
    QUERY,
    RELEVANT,
    Sheet,
)
from outliers_bench.reports.tiles import LINE, TILE, read_photos
from outliers_bench.result import Result
from outliers_bench.types import RGB, ImageSet, IntArray, Split

_GAP, _CAPTION, _HEADER, _QUERY_GAP = 10, 40, 64, 22
NAME = "path"  # caption with the name of the image, unless there is such a column
_HEADERS = 8  # of some 400 kB each, cached for the next sheets
_HEADINGS = {
    "best": "Best queries: from the top tenth",
    "typical": "Typical queries: around the median",
    "worst": "Worst queries: from the bottom tenth",
    "sample": "A sample of the queries (no labels, so nothing is marked)",
}


def draw_contact_sheets(
    result: Result, *, queries: int, depth: int, seed: int, captions: Sequence[str] = ()
) -> dict[str, RGB]:
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
    captions : sequence of str
        Columns of the images below each, `path` for its name; see `check_captions`.

    Returns
    -------
    dict of str to array of uint8, shape (height, width, 3)
        RGB; `best`, `typical` and `worst` of the scored queries, or `sample` without labels. Only
        the images shown are decoded; unreadable ones are gray.
    """
    depth = min(depth, result.ranking.depth)
    selected = select_queries(result, queries=queries, seed=seed)
    images = (
        (part, int(row))
        for rows in selected.values()
        for query in rows
        for part, shown in (
            (result.split.query, [query.row]),
            (result.split.gallery, _hits(result, query.row, depth)),
        )
        for row in shown
    )
    with closing(read_photos(images)) as photos:
        return {
            name: _draw_sheet(result, name, rows, depth=depth, photos=photos, captions=captions)
            for name, rows in selected.items()
            if rows
        }


def _hits(result: Result, row: int, depth: int) -> IntArray:
    hits = result.ranking.indices[row, :depth]
    return hits[hits >= 0]


def check_captions(split: Split, captions: Sequence[str]) -> None:
    """Raise `BenchError` if query or gallery has no such column; see `draw_contact_sheets`."""
    for part in (split.query, split.gallery):
        missing = [name for name in captions if name not in (NAME, *part.columns)]
        if missing:
            raise BenchError(
                f"contact_sheets.captions=[{','.join(captions)}]: the images of {split.name} have "
                f"no column {missing[0]}; they have {', '.join((NAME, *part.columns))}"
            )


def row_top(row: int, captions: int = 0) -> int:
    """Return the top edge, in pixels, of the tiles of a row, with that many more captions."""
    return MARGIN + _HEADER + row * (TILE + _CAPTION + captions * LINE + _GAP)


def column_left(column: int) -> int:
    """Return the left edge, in pixels, of the tiles of a column; column 0 holds the queries."""
    return MARGIN + column * (TILE + _GAP) + (_QUERY_GAP if column else 0)


def _draw_sheet(
    result: Result,
    name: str,
    selected: list[SelectedQuery],
    *,
    depth: int,
    photos: Iterator[RGB | None],
    captions: Sequence[str],
) -> RGB:
    width = column_left(depth) + TILE + MARGIN
    sheet = Sheet(width, row_top(len(selected), len(captions)) - _GAP + MARGIN)
    band = column_left(0) + TILE + (_GAP + _QUERY_GAP) // 2 + 1
    sheet.fill(BAND, left=0, top=0, width=band, height=len(sheet.pixels))
    heading = f"{result.split.name}   |   {_HEADINGS[name]}"
    sheet.paste(_header(heading, width, legend=result.split.labeled), left=0, top=0)
    for row, query in enumerate(selected):
        shown = list(islice(photos, 1 + len(_hits(result, query.row, depth))))
        _draw_row(sheet, result, query, row=row, photos=shown, captions=captions)
    return sheet.pixels


@lru_cache(_HEADERS)
def _header(heading: str, width: int, *, legend: bool) -> RGB:
    """Draw the header of a sheet: heading, titles of the columns and legend."""
    header = Sheet(width, row_top(0) - _GAP)
    header.write(heading, left=MARGIN, top=MARGIN - 6, size=22)
    titles_top = len(header.pixels) - 20
    header.write("query", left=MARGIN, top=titles_top, ink=FAINT)
    header.write("results, best first", left=column_left(1), top=titles_top, ink=FAINT)
    if legend:
        header.legend(right=width - MARGIN, top=titles_top - 2)
    return header.pixels


def _draw_row(
    sheet: Sheet,
    result: Result,
    selected: SelectedQuery,
    *,
    row: int,
    photos: list[RGB | None],
    captions: Sequence[str],
) -> None:
    query, gallery = result.split.query, result.split.gallery
    query_label = _label(query, selected.row)
    top = row_top(row, len(captions))
    detail = ""
    if selected.quality is not None:
        detail = f"{metric_title(quality_metric(result))} {format_score(selected.quality)}"
    sheet.photo(photos[0], left=column_left(0), top=top, frame=QUERY)
    lines = [(query_label or query.names[selected.row], INK), (detail, FAINT)]
    lines += [(_value(query, selected.row, column), FAINT) for column in captions]
    sheet.caption(lines, left=column_left(0), top=top, paper=BAND)
    for rank, shown in enumerate(photos[1:]):
        match = int(result.ranking.indices[selected.row, rank])
        label = _label(gallery, match)
        relevant = None if query_label is None or label is None else label == query_label
        left = column_left(rank + 1)
        frame = {True: RELEVANT, False: IRRELEVANT, None: NEUTRAL}[relevant]
        sheet.photo(shown, left=left, top=top, frame=frame)
        if relevant is not None:
            sheet.mark(relevant=relevant, right=left + TILE, top=top)
        similarity = f"{rank + 1}. {result.ranking.scores[selected.row, rank]:.3f}"
        lines = [(label or gallery.names[match], INK), (similarity, FAINT)]
        lines += [(_value(gallery, match, column), FAINT) for column in captions]
        sheet.caption(lines, left=left, top=top)


def _value(part: ImageSet, row: int, column: str) -> str:
    """Return the value of an image in a column as text; empty if it is missing."""
    if column not in part.columns:
        return part.names[row]
    value = part.columns[column][row]
    if isinstance(value, np.datetime64):
        return "" if np.isnat(value) else str(value.astype("M8[s]")).replace("T", " ")
    return "" if isinstance(value, float) and np.isnan(value) else f"{value}"


def _label(part: ImageSet, row: int) -> str | None:
    return None if part.labels is None else part.classes[int(part.labels[row])]
