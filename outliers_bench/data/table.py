"""Tables of image files with label, group, and part; shared by all sources of files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from outliers_bench.data.deduplicate import deduplicate
from outliers_bench.data.split import check_classes
from outliers_bench.errors import BenchError
from outliers_bench.types import GROUP, ImageReader, ImageSet, LeftOut, Split

PARTS = ("train", "query", "gallery")
COLUMNS = ("path", "label", "split", "group")  # of a manifest; others describe the images


@dataclass(frozen=True)
class Row:
    """One image file of a source."""

    name: str  # path relative to the source's root
    label: str | None
    part: str = ""  # one of `PARTS`; empty if the benchmark splits the images
    group: str | None = None  # images of one group stay in one part
    number: int = 0  # position in the columns of the table


@dataclass(frozen=True)
class Table:
    """The readable images of a source and their digests."""

    rows: tuple[Row, ...]
    digests: tuple[bytes, ...]  # one per row
    reader: ImageReader  # of all parts
    left_out: tuple[LeftOut, ...]
    # Other columns of the source, by `Row.number`.
    columns: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)

    def images(self, part: str = "") -> ImageSet:
        """Return the images of one part, without labels if any of them has none."""
        chosen = [i for i, row in enumerate(self.rows) if row.part == part]
        rows = [self.rows[i] for i in chosen]
        classes = tuple(sorted({row.label for row in self.rows if row.label is not None}))
        number = {label: i for i, label in enumerate(classes)}
        labels = [number[row.label] for row in rows if row.label is not None]
        numbers = np.array([row.number for row in rows], dtype=np.int64)
        columns = {name: values[numbers] for name, values in self.columns.items()}
        if any(row.group is not None for row in rows):
            # An image without a group is a group of its own.
            groups = [row.group or f"~{row.name}" for row in rows]
            columns[GROUP] = np.array(groups, dtype=np.object_)
        return ImageSet(
            names=tuple(row.name for row in rows),
            digests=tuple(self.digests[i] for i in chosen),
            labels=np.array(labels, dtype=np.int64) if len(labels) == len(rows) else None,
            classes=classes,
            reader=self.reader,
            columns=columns,
        )


def split_from_table(table: Table, *, name: str) -> Split:
    """Return the split that the parts of the rows define.

    The same content may be in several parts, but only once in a labeled part; see `Leakage`.

    Raises
    ------
    BenchError
        If query or gallery is empty, only one of them has labels, or all images are of one class.
    """
    train, query, gallery = (table.images(part) for part in PARTS)
    for part, images in (("query", query), ("gallery", gallery)):
        if len(images) == 0:
            raise BenchError(f"{name}: there are no images in {part}")
    if (query.labels is None) != (gallery.labels is None):
        with_labels, without = (
            ("gallery", "query") if query.labels is None else ("query", "gallery")
        )
        raise BenchError(
            f"{name}: {with_labels} has labels and {without} has none; label both to score the "
            "ranking, or neither to rank only"
        )
    (query, gallery, train), duplicates = deduplicate([query, gallery, train])
    if query.labels is not None:
        for part, images in (("query", query), ("gallery", gallery)):
            if len(images) == 0:
                raise BenchError(f"{name}: every image in {part} has two labels")
        check_classes(gallery, name=f"{name}, gallery")
    return Split(name, train, query, gallery, left_out=(*table.left_out, *duplicates))
