"""One image per box: the crops of photos, with a margin, as a table like that of whole photos."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

import numpy as np
import numpy.typing as npt

from outliers_bench.data.crop_reader import CropReader, Rectangle, crop_digest, crop_name
from outliers_bench.data.image_files import FileReader
from outliers_bench.data.photo_sizes import Size, read_sizes
from outliers_bench.data.table import Row, Table
from outliers_bench.errors import BenchError
from outliers_bench.types import CROPPED_FROM, BoolArray, LeftOut, Reason

_log = logging.getLogger(__name__)
_MAX_UNUSABLE = 0.5  # share of boxes that are empty or outside, above which they are misunderstood
_MIN_INSIDE = 0.5  # share of a box in the photo, below which it counts as outside for this


class BoxUse(Enum):
    """Use of the boxes in a table or in annotations."""

    crop = "crop"
    """Each box is an image of its own."""
    ignore = "ignore"
    """The images are the whole photos."""


@dataclass(frozen=True, eq=False)
class Boxes:
    """Boxes of the rows of a table.

    Parameters
    ----------
    values : array of float64, shape (n, 4)
        Left, top, width and height of each row's box in the upright photo. NaN is the whole photo.
    relative : bool
        True if they are shares of the photo's width and height, False for pixels.
    sizes : array of int64, shape (n, 2), or None
        Width and height of each row's photo as annotated, 0 if unknown; None if none is known.
    source : str
        The columns or the format, for messages.
    """

    values: npt.NDArray[np.float64]
    relative: bool
    sizes: npt.NDArray[np.int64] | None
    source: str

    @property
    def exist(self) -> BoolArray:
        """True for each row with a box, shape (n,)."""
        return np.isfinite(self.values[:, 0])


def to_rectangle(
    box: Sequence[float], size: Size, *, margin: float, relative: bool = False
) -> Rectangle | None:
    """Return the pixels of a box, enlarged by a margin and clipped to the photo.

    Edges are rounded to the nearest pixel.

    Parameters
    ----------
    box : sequence of 4 floats
        See `Boxes.values`.
    size : (int, int)
        Width and height of the photo.
    margin : float
        Share of the box's longer side that is added on each side.
    relative : bool
        See `Boxes`.

    Returns
    -------
    Rectangle or None
        None for a box that is empty or outside of the photo.

    Examples
    --------
    >>> to_rectangle([10, 20, 100, 50], (400, 300), margin=0)
    Rectangle(left=10, top=20, width=100, height=50)
    >>> to_rectangle([10, 20, 100, 50], (400, 300), margin=0.05)
    Rectangle(left=5, top=15, width=110, height=60)
    >>> to_rectangle([0.5, 0.5, 0.75, 0.25], (400, 300), margin=0, relative=True)
    Rectangle(left=200, top=150, width=200, height=75)
    """
    scale = size if relative else (1, 1)
    left, top, width, height = (value * scale[at % 2] for at, value in enumerate(box))
    if width <= 0 or height <= 0:
        return None
    extra = margin * max(width, height)
    edges = []
    for start, length, end in ((left, width, size[0]), (top, height, size[1])):
        first, last = _round(start), _round(start + length)
        if first >= last or first >= end or last <= 0:  # a margin makes no box of nothing
            return None
        edges.append((max(0, _round(start - extra)), min(end, _round(start + length + extra))))
    (left, right), (top, bottom) = edges
    return Rectangle(left, top, right - left, bottom - top)


def _round(value: float) -> int:
    # 0.57 * 100 is 56.99999999999999.
    return math.floor(round(value, 6) + 0.5)


def crop_table(
    table: Table, boxes: Boxes, *, margin: float, one_set: bool, cache: Path, place: str
) -> Table:
    """Return a table of the crops of a table of photos.

    Crops of one photo are of one group, in addition to the groups of the table; if query and
    gallery are one set without groups, they are marked to be excluded from each other's ranking
    instead.

    Parameters
    ----------
    table : Table
        Photos; the same photo is in a row for each of its boxes.
    boxes : Boxes
        By `Row.number`.
    margin : float
        See `to_rectangle`.
    one_set : bool
        Whether each crop is a query against all others.
    cache : Path
        Cache directory.
    place : str
        The option that names the table, for messages.

    Raises
    ------
    BenchError
        If most boxes are empty or outside of their photos, or a photo has another size than the
        annotated one.
    """
    reader = table.reader
    assert isinstance(reader, FileReader)  # noqa: S101 - made by `DataSource.read_table`
    has_box = boxes.exist
    photos = {
        row.name: digest
        for row, digest in zip(table.rows, table.digests, strict=True)
        if has_box[row.number]
    }
    sizes = read_sizes(reader, photos, cache=cache)
    _check_sizes(table.rows, sizes, boxes, place)
    rows: list[Row] = []
    digests: list[bytes] = []
    sources: list[bytes] = []
    left_out: list[LeftOut] = []
    outside: list[LeftOut] = []
    for row, digest in zip(table.rows, table.digests, strict=True):
        if not has_box[row.number]:
            rows.append(row)
            digests.append(digest)
            sources.append(digest)
            continue
        size = sizes[row.name]
        box = boxes.values[row.number].tolist()
        if isinstance(size, Reason):
            left_out.append(LeftOut(row.name, *size))
        elif rectangle := to_rectangle(box, size, margin=margin, relative=boxes.relative):
            rows.append(replace(row, name=crop_name(row.name, rectangle)))
            digests.append(crop_digest(digest, rectangle))
            sources.append(digest)
            if _share_inside(box, size, relative=boxes.relative) < _MIN_INSIDE:
                outside.append(LeftOut(row.name, "unusable_box", _describe(box, size)))
        else:
            left_out.append(LeftOut(row.name, "unusable_box", _describe(box, size)))
    _check_unusable(
        [*(item for item in left_out if item.kind == "unusable_box"), *outside], boxes, place
    )
    names = {row.number: row.name for row in rows}
    listed = tuple(names.get(number, name) for number, name in enumerate(reader.listed))
    columns = dict(table.columns)
    if len(set(sources)) < len(sources):
        if one_set and all(row.group is None for row in rows):
            values = np.full(len(boxes.values), "", dtype=np.object_)
            values[[row.number for row in rows]] = [source.hex() for source in sources]
            columns[CROPPED_FROM] = values
        else:
            rows = _group_by_photo(rows, sources)
    _log.warning(
        "%s: %s images from %s photos, one for each box in %s (data.boxes=ignore: whole photos)",
        *(place, f"{len(rows):,}", f"{len(set(sources)):,}", boxes.source),
    )
    parts: dict[bytes, set[str]] = {}
    for row, source in zip(rows, sources, strict=True):
        parts.setdefault(source, set()).add(row.part)
    if n_split := sum(len(each) > 1 for each in parts.values()):
        _log.warning("%s: the crops of %s photos are in more than one part", place, f"{n_split:,}")
    return Table(
        rows=tuple(rows),
        digests=tuple(digests),
        reader=CropReader(reader.root, listed, reader.is_sorted),
        left_out=(*table.left_out, *left_out),
        columns=columns,
    )


def _share_inside(box: Sequence[float], size: Size, *, relative: bool) -> float:
    """Return the share of a box that is in the photo."""
    width, height = (1, 1) if relative else size
    inside_x = min(box[0] + box[2], width) - max(box[0], 0)
    inside_y = min(box[1] + box[3], height) - max(box[1], 0)
    return inside_x * inside_y / (box[2] * box[3])


def _describe(box: Sequence[float], size: Size) -> str:
    numbers = ", ".join(f"{value:g}" for value in box)
    if min(box[2:]) <= 0:
        return f"its box ({numbers}) is empty"
    return f"its box ({numbers}) is outside of the photo ({size[0]} x {size[1]})"


def _check_sizes(
    rows: Sequence[Row], sizes: dict[str, Size | Reason], boxes: Boxes, place: str
) -> None:
    if boxes.sizes is None:
        return
    wrong = {}
    for row in rows:
        annotated, actual = tuple(boxes.sizes[row.number].tolist()), sizes.get(row.name)
        if actual is None or isinstance(actual, Reason) or not all(annotated):
            continue
        if annotated != actual:
            wrong[row.name] = annotated, actual
    if not wrong:
        return
    name, (annotated, actual) = next(iter(wrong.items()))
    turned = all(given[::-1] == found for given, found in wrong.values())
    why = (
        "its boxes are those of the stored photos, and orientation in EXIF turns them"
        if turned
        else "the boxes do not fit photos that were resized"
    )
    raise BenchError(
        f"{place}: {len(wrong):,} photos have another size than annotated, {name} first "
        f"({actual[0]} x {actual[1]}, annotated {annotated[0]} x {annotated[1]}): {why}; use the "
        "annotated photos, or data.boxes=ignore"
    )


def _check_unusable(unusable: Sequence[LeftOut], boxes: Boxes, place: str) -> None:
    n_boxes = int(boxes.exist.sum())
    if len(unusable) <= _MAX_UNUSABLE * n_boxes:
        return
    first = unusable[0]
    raise BenchError(
        f"{place}: {len(unusable):,} of {n_boxes:,} boxes are empty or mostly outside of their "
        f"photos, that of {first.name} first ({first.detail}); {boxes.source} must be of the "
        "upright photo in this size, or use data.boxes=ignore"
    )


def _group_by_photo(rows: Sequence[Row], sources: Sequence[bytes]) -> list[Row]:
    """Put the crops of one photo into one group, with the groups that some of them are in."""
    parents: dict[object, object] = {}

    def find(item: object) -> object:
        while (parent := parents.get(item, item)) != item:
            parents[item] = item = parents.get(parent, parent)
        return item

    for row, source in zip(rows, sources, strict=True):
        if row.group is not None:
            parents[find(source)] = find(row.group)
    groups: dict[object, str] = {}
    for row, source in zip(rows, sources, strict=True):
        if row.group is not None:
            groups[find(source)] = min(row.group, groups.get(find(source), row.group))
    counts = Counter(sources)
    return [
        replace(row, group=groups.get(find(source), f"photo {source.hex()}"))
        if find(source) in groups or counts[source] > 1
        else row
        for row, source in zip(rows, sources, strict=True)
    ]
