"""Boxes in the columns of a table."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from outliers_bench.data.boxes import Boxes
from outliers_bench.errors import BenchError

if TYPE_CHECKING:
    import pandas as pd

# Names in lower case without blanks and punctuation. The last two of a pair are width and height,
# or right and bottom.
_Keys = tuple[tuple[str, ...], ...]
_SIZED: _Keys = (
    ("x", "y", "w", "h"),
    ("x", "y", "width", "height"),
    ("left", "top", "width", "height"),
    ("xmin", "ymin", "width", "height"),
    ("bboxx", "bboxy", "bboxw", "bboxh"),
    ("bboxx", "bboxy", "bboxwidth", "bboxheight"),
    ("bboxleft", "bboxtop", "bboxwidth", "bboxheight"),
    ("boxx", "boxy", "boxw", "boxh"),
    ("boxx", "boxy", "boxwidth", "boxheight"),
)
_CORNERS: _Keys = (
    ("x1", "y1", "x2", "y2"),
    ("xmin", "ymin", "xmax", "ymax"),
    ("left", "top", "right", "bottom"),
    ("bboxx1", "bboxy1", "bboxx2", "bboxy2"),
    ("bboxxmin", "bboxymin", "bboxxmax", "bboxymax"),
)
_ONE: _Keys = (("bbox",), ("box",), ("boundingbox",))
_PHOTO_SIZE = ("width", "height")  # next to w and h, or to corners
_WHOLE = (math.nan,) * 4
_WAY_OUT = "or use data.boxes=ignore"


def find_boxes(frame: pd.DataFrame, place: str) -> Boxes | None:
    """Return the boxes in the columns of a table; None if it has none.

    Columns are recognized by name: x, y, w, h, corners such as x_1, y_1, x_2, y_2, or one column
    bbox with x, y, w, h, as a list or as text. `place` is the option that names the table, for
    messages.

    Raises
    ------
    BenchError
        If boxes are in more than one place, a value is no number, or all are below one pixel.
    """
    by_key: dict[str, str] = {}
    for name in frame.columns:
        by_key.setdefault(re.sub(r"[\W_]", "", str(name)).casefold(), name)
    found = [keys for keys in (*_SIZED, *_CORNERS, *_ONE) if all(key in by_key for key in keys)]
    if not found:
        return None
    has_size = len(found) == 2 and found[0][:2] == found[1][:2]
    found = [keys for keys in found if not has_size or keys[2:] != _PHOTO_SIZE]
    if len(found) > 1:
        sets = ["+".join(by_key[key] for key in keys) for keys in found]
        raise BenchError(
            f"{place}: boxes are in {' and in '.join(sets)}; remove the columns that are not to be "
            f"used, {_WAY_OUT}"
        )
    keys = found[0]
    names = [by_key[key] for key in keys]
    listed = f"the columns {', '.join(names)}" if names[1:] else f"the column {names[0]}"
    if names[1:]:
        cells = [list(row) for row in frame[names].itertuples(index=False)]
    else:
        cells = [_to_list(cell) for cell in frame[names[0]].tolist()]
    if keys == ("box",) and all(math.isnan((_to_box(cell) or _WHOLE)[0]) for cell in cells):
        return None  # a box of another kind
    boxes = []
    for row, cell in zip(frame.index.tolist(), cells, strict=True):
        if (box := _to_box(cell)) is None:
            shown = ", ".join("" if _is_missing(each) else str(each) for each in cell)
            raise BenchError(
                f"{place}: row {row}: {listed} must have four numbers, or be empty for the whole "
                f"photo; it has {shown!r}"
            )
        boxes.append(box)
    values = np.array(boxes, np.float64).reshape(-1, 4)
    if keys in _CORNERS:
        values[:, 2:] -= values[:, :2]
    if np.isnan(values).all():
        return None
    if np.nanmax(np.abs(values)) <= 1:
        raise BenchError(
            f"{place}: all boxes in {listed} are between 0 and 1; multiply them by the width and "
            f"height of the photo in pixels, {_WAY_OUT}"
        )
    return Boxes(values, False, _to_sizes(frame, by_key, values) if has_size else None, listed)


def _to_sizes(
    frame: pd.DataFrame, by_key: dict[str, str], boxes: npt.NDArray[np.float64]
) -> npt.NDArray[np.int64] | None:
    """Return width and height of the photos, 0 where they are no numbers; None if of the boxes."""
    import pandas as pd

    columns = [pd.to_numeric(frame[by_key[key]], errors="coerce") for key in _PHOTO_SIZE]
    numbers = np.column_stack([column.to_numpy(np.float64, na_value=0) for column in columns])
    is_of_box = np.array_equal(numbers, boxes[:, 2:])
    return None if is_of_box else np.nan_to_num(numbers, posinf=0, neginf=0).astype(np.int64)


def _to_list(cell: Any) -> list[Any]:  # noqa: ANN401 - a cell
    if isinstance(cell, np.ndarray | list | tuple):
        return list(cell) or [None] * 4
    if _is_missing(cell):
        return [None] * 4
    return re.split(r"[\s,;]+", str(cell).strip("[]() \t"))


def _to_box(cells: list[Any]) -> list[float] | None:
    """Return the numbers of a box, NaN for the whole photo; None if they are not four."""
    missing = [_is_missing(cell) for cell in cells]
    if len(cells) != 4 or any(missing) != all(missing):
        return None
    try:
        box = [math.nan if all(missing) else float(cell) for cell in cells]
    except (TypeError, ValueError):
        return None
    return None if any(map(math.isinf, box)) else box


def _is_missing(cell: Any) -> bool:  # noqa: ANN401 - a cell
    return cell is None or str(cell).strip().casefold() in ("", "nan", "<na>", "none")
