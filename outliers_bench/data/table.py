"""Tables of image files with label, group, and part; shared by all sources of files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from outliers_bench.data.deduplicate import deduplicate
from outliers_bench.data.labels import MissingLabels, is_missing, normalize
from outliers_bench.data.split import check_classes
from outliers_bench.errors import BenchError
from outliers_bench.runtime.units import list_first
from outliers_bench.types import GROUP, ImageReader, ImageSet, LeftOut, Split

AddGroups = Callable[[Sequence[ImageSet]], Sequence[ImageSet]]
PARTS = ("train", "query", "gallery")
COLUMNS = ("path", "label", "split", "group")  # of a manifest; others describe the images


@dataclass(frozen=True)
class Row:
    """One image of a source; label and group are normalized, see `labels.normalize`."""

    name: str  # path relative to the source's root
    label: str | None  # None if the source has no labels; see `exclude_unlabeled` for missing ones
    part: str = ""  # one of `PARTS`; empty if the benchmark splits the images
    group: str | None = None  # images of one group stay in one part; None for a missing one
    number: int = 0  # position in the columns of the table

    def __post_init__(self) -> None:
        if self.label is not None:
            object.__setattr__(self, "label", normalize(self.label))
        if self.group is not None:
            group = normalize(self.group)
            object.__setattr__(self, "group", None if is_missing(group) else group)


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


def exclude_unlabeled(
    rows: Sequence[Row], missing_labels: MissingLabels, *, name: str
) -> tuple[list[Row], list[LeftOut]]:
    """Exclude images whose label is missing, or refuse them, as an option says.

    If the labels of all query and gallery images are missing, the images stay, to be ranked and not
    scored.

    Returns
    -------
    rows : list of Row
        The other images; in query and gallery with None instead of missing labels.
    left_out : list of LeftOut
        The excluded images, `unlabeled`.

    Raises
    ------
    BenchError
        If labels are missing and `missing_labels` is `error`, or empty and it is `class`.
    """
    as_classes = missing_labels is MissingLabels["class"]
    unlabeled = [
        row
        for row in rows
        if row.label is not None and (not row.label if as_classes else is_missing(row.label))
    ]
    if not unlabeled:
        return list(rows), []
    without = {id(row) for row in unlabeled}
    ranked = [row for row in rows if row.part in PARTS[1:]]
    if ranked and all(row.label is None or id(row) in without for row in ranked):
        rows = [replace(row, label=None) if row.part in PARTS[1:] else row for row in rows]
        unlabeled = [row for row in unlabeled if row.part not in PARTS[1:]]
        without = {id(row) for row in unlabeled}
    if unlabeled and missing_labels is not MissingLabels.exclude:
        raise BenchError(_describe_unlabeled(unlabeled, total=len(rows), name=name))
    left_out = [
        LeftOut(row.name, "unlabeled", f"label {row.label!r}" if row.label else "no label")
        for row in unlabeled
    ]
    return [row for row in rows if id(row) not in without], left_out


def _describe_unlabeled(unlabeled: Sequence[Row], *, total: int, name: str) -> str:
    spellings = Counter(row.label for row in unlabeled)
    listed = [f"{n:,} {repr(label) if label else 'empty'}" for label, n in spellings.most_common()]
    first = list_first([row.name for row in unlabeled])
    as_class = "to take each spelling as a class"
    if "" in spellings:
        as_class += ", except an empty one"
    return (
        f"{name}: {len(unlabeled):,} of {total:,} images have no label: {list_first(listed)} "
        f"({first}). Label them, or use "
        f"data.missing_labels=exclude to exclude them, or data.missing_labels=class {as_class}; "
        "the default is data.missing_labels=error"
    )


def split_from_table(table: Table, add_groups: AddGroups, *, name: str) -> Split:
    """Return the split that the parts of the rows define.

    `add_groups` adds columns to the parts; see `DataSource.add_groups`. The same content may be in
    several parts, but only once in a labeled part; see `Leakage`.

    Raises
    ------
    BenchError
        If query or gallery is empty, only one of them has labels, or all images are of one class.
    """
    train, query, gallery = add_groups([table.images(part) for part in PARTS])
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
