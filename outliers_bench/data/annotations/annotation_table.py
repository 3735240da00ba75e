"""Table of the boxes in a file of annotations, built entry by entry."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from outliers_bench.data.boxes import Boxes
from outliers_bench.data.table import COLUMNS
from outliers_bench.errors import BenchError
from outliers_bench.types import LeftOut

if TYPE_CHECKING:
    import pandas as pd

WHOLE = (float("nan"),) * 4
"""Box of an annotation without a box."""


@dataclass
class AnnotationTable:
    """Rows of a table, one for each box, and the photos and boxes that are excluded.

    Parameters
    ----------
    place : str
        The option that names the file, for messages.
    format : str
        Name of the format.
    relative : bool
        Whether boxes are shares of the photo's size; see `Boxes`.
    """

    place: str
    format: str
    relative: bool
    left_out: list[LeftOut] = field(default_factory=list)
    _rows: list[dict[str, Any]] = field(default_factory=list)
    _boxes: list[tuple[float, ...]] = field(default_factory=list)
    _sizes: list[tuple[int, int]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self._rows)

    def add(
        self,
        path: str,
        label: str,
        box: tuple[float, ...] = WHOLE,
        *,
        size: tuple[int, int] = (0, 0),
        others: Mapping[str, Any],
    ) -> None:
        """Add a row; see `Boxes` for box and size.

        `others` are columns; those called path or label get the prefix `annotated_`.
        """
        taken = COLUMNS[:2]
        renamed = {f"annotated_{name}" if name in taken else name: v for name, v in others.items()}
        self._rows.append({"path": path, "label": label, **renamed})
        self._boxes.append(box)
        self._sizes.append(size)

    def exclude(self, name: str, kind: Any, detail: str) -> None:  # noqa: ANN401 - LeftOutKind
        """Exclude a photo or a box; see `LeftOut`."""
        self.left_out.append(LeftOut(name, kind, detail))

    @contextmanager
    def entry(self, name: str) -> Iterator[None]:
        """Turn the error of an entry without a value, or with another type, into `BenchError`."""
        try:
            yield
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            what = f"has no {error}" if isinstance(error, KeyError) else f"is not valid ({error})"
            raise BenchError(f"{self.place}: {name} of this {self.format} JSON {what}") from None

    def labels(self) -> set[str]:
        """Return the labels of the rows."""
        return {row["label"] for row in self._rows}

    def frame(self, *, whole_photos: bool = False) -> pd.DataFrame:
        """Return the rows as a table of text, where a missing value is empty.

        With `whole_photos`, a photo is in one row for each of its labels.
        """
        import pandas as pd

        if not self._rows:
            why = [f": {item.name}: {item.detail}" for item in self.left_out[:1]]
            raise BenchError(
                f"{self.place}: this {self.format} JSON has nothing that can be used{''.join(why)}"
            )
        frame = pd.DataFrame(self._rows, dtype=object)
        frame = frame.where(frame.notna(), "").map(_to_text)
        frame.index += 1  # rows in messages are counted from 1
        return frame.drop_duplicates(["path", "label"]) if whole_photos else frame

    def boxes(self) -> Boxes:
        """Return the boxes of the rows."""
        sizes = np.array(self._sizes, np.int64).reshape(-1, 2)
        values = np.array(self._boxes, np.float64).reshape(-1, 4)
        return Boxes(
            values, self.relative, sizes if sizes.any() else None, f"the {self.format} JSON"
        )


def _to_text(value: Any) -> str:  # noqa: ANN401 - a value of JSON
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value)


def scalars(values: Mapping[str, Any], *without: str, prefix: str = "") -> dict[str, Any]:
    """Return the numbers and texts of a JSON object, nested ones as `attributes.name`."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        if name in without:
            continue
        if isinstance(value, dict):
            found |= scalars(value, prefix=f"{prefix}{name}.")
        elif isinstance(value, str | int | float):
            found[f"{prefix}{name}"] = value
    return found


def to_box(values: Any) -> tuple[float, ...]:  # noqa: ANN401 - a value of JSON
    """Return four finite numbers; `WHOLE` if there are none."""
    if not values:
        return WHOLE
    box = tuple(float(value) for value in values)
    if len(box) != 4 or not all(map(math.isfinite, box)):
        raise ValueError(f"the box {values} is not four numbers")
    return box
