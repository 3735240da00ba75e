"""Base of the sources that are a folder: which files are used, and where their labels are."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from omegaconf import MISSING

from outliers_bench.data.listing import list_images
from outliers_bench.data.path_labels import PathLabels
from outliers_bench.data.path_patterns import compile_pattern, select
from outliers_bench.data.source import DataSource, folder_name
from outliers_bench.data.table import Row
from outliers_bench.errors import BenchError
from outliers_bench.runtime.option_roles import PLACE
from outliers_bench.types import LeftOut


@dataclass
class FolderSource(DataSource):
    """Images in folders, whose names or paths contain the labels.

    Parameters
    ----------
    root : str
        Folder that contains the images.
    include, exclude : list of str
        Patterns of the paths of the images that are used, and of those that are not; see
        `path_patterns.compile_pattern`. Everything is used by default.
    label_depth : int or None
        Folder that is the label; see `PathLabels`. None for the first folder.
    label_pattern : str or None
        Regular expression that finds the label in the path; see `PathLabels`. Images of a label
        with the same text in the group `group` stay in one part; others become columns.
    """

    root: str = field(default=MISSING, metadata=PLACE)
    include: list[str] = field(default_factory=list)
    exclude: list[str] = field(default_factory=list)
    label_depth: int | None = None
    label_pattern: str | None = None

    def default_name(self) -> str:
        """Return the folder's name; see `DataSource.default_name`."""
        return folder_name(self.root)

    def check(self) -> None:
        """See `DataSource.check`."""
        super().check()
        for pattern in (*self.include, *self.exclude):
            compile_pattern(pattern)
        self.labels_rule().check()
        if self.label_depth is not None and self.label_pattern is not None:
            raise BenchError(
                f"data.label_depth={self.label_depth} and data.label_pattern={self.label_pattern}: "
                "the label is the name of a folder or found by a pattern; give one of them"
            )

    def list_images(self, root: Path) -> tuple[list[str], list[LeftOut]]:
        """List the selected images; see `listing.list_images` and `path_patterns.select`."""
        names, left_out = list_images(root)
        return select(names, left_out, include=self.include, exclude=self.exclude)

    def default_depth(self) -> int:
        """Return the folder that is the label if the user gives none."""
        return 1

    def labels_rule(self) -> PathLabels:
        """Return the rule that reads labels from paths."""
        depth = self.default_depth() if self.label_depth is None else self.label_depth
        return PathLabels(depth, self.label_pattern)

    def read_labels(self, names: Sequence[str], *, below: int = 0) -> list[dict[str, str]]:
        """Return the fields of each path, `label` among them; see `PathLabels.read`.

        Raises
        ------
        BenchError
            If a path has no label.
        """
        rule = self.labels_rule()
        fields = rule.read(names, below=below)
        if missing := [name for name, found in zip(names, fields, strict=True) if not found]:
            raise BenchError(
                f"data.root={self.root}: {len(missing):,} of {len(names):,} images have no label, "
                f"first {missing[0]}: {rule.problem()}; data.exclude leaves images out"
            )
        return fields


def subfolder(root: Path, given: str, option: str) -> str:
    """Return the path, relative to the root, of the folder in it that an option names.

    Raises
    ------
    BenchError
        If it is no folder, or not below the root.
    """
    folder = os.path.normpath(given)
    if Path(folder).is_absolute():
        folder = os.path.relpath(folder, root)
    outside = not given or folder == "." or folder.split("/")[0] == ".."
    if outside or not (root / folder).is_dir():
        raise BenchError(f"{option}={given}: there is no such folder in {root}")
    return folder


def check_groups(rows: Iterable[Row], place: str) -> None:
    """Raise `BenchError` if images of one group are in two parts."""
    first: dict[str, Row] = {}
    for row in rows:
        if row.group and (other := first.setdefault(row.group, row)).part != row.part:
            raise BenchError(
                f"{place}: {other.name} and {row.name} are of the group {row.group!r}, and in two "
                "parts; a group belongs in one part"
            )
