"""`data=manifest`: a table of images."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from omegaconf import MISSING

from outliers_bench.data.annotations.annotation_table import AnnotationTable
from outliers_bench.data.annotations.megadetector import MEGADETECTOR, DetectionOptions
from outliers_bench.data.annotations.read import read_annotations
from outliers_bench.data.box_columns import find_boxes
from outliers_bench.data.boxes import BoxUse, crop_table
from outliers_bench.data.image_files import FileReader, absolute_path, existing_folder
from outliers_bench.data.path_labels import PathLabels
from outliers_bench.data.source import Grouping, LabeledSource
from outliers_bench.data.splits.options import Protocol
from outliers_bench.data.table import COLUMNS, Row, Table, split_from_table
from outliers_bench.data.tables.columns import Columns, count_known
from outliers_bench.data.tables.files import read_table
from outliers_bench.data.tables.other_columns import other_columns
from outliers_bench.data.tables.parts import BOTH, TEST
from outliers_bench.data.tables.paths import find_files
from outliers_bench.data.tables.split import one_set, split_test
from outliers_bench.data.tables.standard import cells_of, standardize
from outliers_bench.errors import BenchError
from outliers_bench.runtime.option_roles import PLACE
from outliers_bench.types import ImageSet, Split

if TYPE_CHECKING:
    import pandas as pd

_NO_TEXT = (list, tuple, dict, set, bytes, np.ndarray)  # would be a class by its notation
_log = logging.getLogger(__name__)


@dataclass
class Manifest(LabeledSource):
    """A table of images: path, label, and optionally split, group and other columns.

    The other columns describe the images; see `ImageSet.columns`. The options of `LabeledSource`
    apply to a table without `split`.

    Parameters
    ----------
    path : str
        The table: text with any common separator and encoding, Parquet, Feather, or JSON lines;
        see `tables.files.read_table`. The `split` column contains train, query, or gallery; without
        it the benchmark splits the images. Next to train, test images are split into query and
        gallery. Images with the same `group` stay in one part. With a `split` column, the labels
        of all query and gallery images may be missing: the images are then ranked but not scored.
    root : str or None
        Base of relative image paths; None for the table's folder.
    columns : Columns
        Names of the columns, which are recognized by default.
    boxes : BoxUse
        Use of boxes in the columns of the table, or in the annotations.
    box_margin : float
        Share of the longer side of a box that is added on each of its sides.
    confidence : float
        Smallest confidence of the detections of MegaDetector that are used, 0 to 1.
    category : str or None
        Category of the detections of MegaDetector that are used, by name or number; None for all.
    label_depth : int or None
        Folder that is the label in MegaDetector's results; see `PathLabels`. None for the first.
    label_pattern : str or None
        Regular expression that finds the label in the path instead; see `PathLabels`.
    """

    path: str = field(default=MISSING, metadata=PLACE)
    root: str | None = field(default=None, metadata=PLACE)
    columns: Columns = field(default_factory=Columns)
    boxes: BoxUse = BoxUse.crop
    box_margin: float = 0.05
    confidence: float = 0.2
    category: str | None = "animal"
    label_depth: int | None = None
    label_pattern: str | None = None

    def default_name(self) -> str:
        """Return the file's name without its extension; see `DataSource.default_name`."""
        return "" if self.path == MISSING else Path(self.path).stem

    def load(self, *, seed: int, cache: Path, group: Grouping | None = None) -> Split:
        """Read the table and the images it names; see `DataSource.load`."""
        self.check()
        annotations = self._read_annotations()
        if annotations is None:
            frame = self.read_frame()
        else:
            frame = annotations.frame(whole_photos=self.boxes is BoxUse.ignore)
        frame = standardize(frame, self.columns, self.path, needs_time=self.needs_time)
        rows = _to_rows(frame, self.path)
        parts = {row.part for row in rows}
        if "split" in frame and self.protocol is Protocol.leave_one_out:
            raise BenchError(
                f"{self.path} has a column split, which data.protocol=leave_one_out would ignore; "
                "ignore it with data.columns.split=none, or use data.protocol=query_gallery"
            )
        if "split" in frame:
            given = f"{self.path} has a column split (data.columns.split=none ignores it)"
            self.refuse_options(given, all_of_them=TEST not in parts)
        table = replace(self.read_images(rows, cache), columns=other_columns(frame))
        if annotations is not None:
            table = replace(table, left_out=(*annotations.left_out, *table.left_out))
        # Arrays and embeddings in memory are of crops already, if there are boxes.
        if self.boxes is BoxUse.crop and isinstance(table.reader, FileReader):
            boxes = find_boxes(frame, self.path) if annotations is None else annotations.boxes()
            if boxes is not None:
                table = crop_table(
                    table,
                    boxes,
                    margin=self.box_margin,
                    one_set=BOTH in parts or self.protocol is Protocol.leave_one_out,
                    cache=cache,
                    place=self.path,
                )

        def add_groups(parts: Sequence[ImageSet]) -> list[ImageSet]:
            return self.add_groups(parts, cache)

        if BOTH in parts:
            return one_set(table, add_groups, name=self.title())
        if TEST in parts:
            _log.warning(
                "%s: the images that are not train are split into query and gallery", self.path
            )
            test_only = replace(self, train=0.0)
            return split_test(
                table,
                add_groups,
                lambda images, left_out: test_only.make_split(
                    images, left_out, seed=seed, group=group
                ),
            )
        if "split" in frame:
            return split_from_table(table, add_groups, name=self.title())
        (images,) = add_groups([table.images()])
        return self.make_split(images, table.left_out, seed=seed, group=group)

    def check(self) -> None:
        """See `DataSource.check`."""
        super().check()
        if not 0 <= self.box_margin < 10:
            raise BenchError(f"data.box_margin={self.box_margin}: give a share of 0 or more")
        if not 0 <= self.confidence <= 1:
            raise BenchError(f"data.confidence={self.confidence}: give a confidence from 0 to 1")

        if self.label_depth is not None and self.label_pattern is not None:
            raise BenchError(
                f"data.label_depth={self.label_depth} and data.label_pattern={self.label_pattern}: "
                "the label is the name of a folder or found by a pattern; give one of them"
            )
        self._labels_rule().check()

    def _labels_rule(self) -> PathLabels:
        return PathLabels(1 if self.label_depth is None else self.label_depth, self.label_pattern)

    def _read_annotations(self) -> AnnotationTable | None:
        """Read the annotations that `path` names; None for a table."""
        found = read_annotations(
            absolute_path(self.path, "data.path"),
            self.path,
            root=self._root(),
            detections=DetectionOptions(self.confidence, self.category, self._labels_rule()),
        )
        is_by_path = self.label_depth is not None or self.label_pattern is not None
        if is_by_path and (found is None or found.format != MEGADETECTOR):
            raise BenchError(
                f"data.label_depth and data.label_pattern are for results of {MEGADETECTOR}, which "
                f"have no labels; {self.path} has them: see data.columns.label"
            )
        return found

    def _root(self) -> Path:
        folder = absolute_path(self.path, "data.path").parent
        return folder if self.root is None else existing_folder(self.root, "data.root")

    def read_frame(self) -> pd.DataFrame:
        """Read the table; see `read_table`."""
        return read_table(
            absolute_path(self.path, "data.path"),
            f"data.path={self.path}",
            lambda names: count_known(names, self.columns),
        )

    def read_images(self, rows: list[Row], cache: Path) -> Table:
        """Compute the digests of the images; see `DataSource.read_table`."""
        root, given = self._root(), self.root is not None
        names = find_files([row.name for row in rows], root, self.path, given=given)
        rows = [replace(row, name=name) for row, name in zip(rows, names, strict=True)]
        return self.read_table(rows, root, cache, of_table=True)


def _to_rows(frame: pd.DataFrame, given: str) -> list[Row]:
    """Check and return the rows; messages have their numbers from the index."""
    columns = [
        cells_of(frame, column) if column in frame else [""] * len(frame) for column in COLUMNS
    ]
    numbers: list[int] = frame.index.tolist()
    for column in frame.columns.intersection(list(COLUMNS)):
        for number, cell in zip(numbers, frame[column].tolist(), strict=True):
            if isinstance(cell, _NO_TEXT):
                raise BenchError(
                    f"{given}: row {number}: {column} is a {type(cell).__name__}, {cell!r}; give "
                    "one text or number for each image"
                )
    rows = []
    first_of_group: dict[str, tuple[int, str]] = {}
    for at, (path, label, part, group) in enumerate(zip(*columns, strict=True)):
        if not path.strip():
            raise BenchError(f"{given}: row {numbers[at]} has no path")
        row = Row(path, label, part, group, at)
        rows.append(row)
        if row.group is None:
            continue
        first, part_of_group = first_of_group.setdefault(row.group, (numbers[at], part))
        if part != part_of_group:
            raise BenchError(
                f"{given}: group {row.group!r} is in {part_of_group} (row {first}) and in {part} "
                f"(row {numbers[at]}); a group belongs in one part"
            )
    return rows
