"""`data=folder`: a folder for each class, cut by us."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from omegaconf import MISSING

from outliers_bench.data.image_files import (
    EXTENSIONS,
    existing_folder,
    list_images,
    unsupported_hint,
)
from outliers_bench.data.source import CutSource, folder_name
from outliers_bench.data.table import PARTS, Row, read_table
from outliers_bench.errors import BenchError
from outliers_bench.types import ImageSet, LeftOut


@dataclass
class ClassFolders(CutSource):
    """Images in one folder for each class, at any depth below it.

    Parameters
    ----------
    root : str
        The folder that holds the class folders.
    """

    root: str = MISSING

    def own_name(self) -> str:
        """The folder's name; see `DataSource.own_name`."""
        return folder_name(self.root)

    def collect(self, cache: Path) -> tuple[ImageSet, Sequence[LeftOut]]:
        """Find the images; see `CutSource.collect`."""
        root = existing_folder(self.root, "data.root")
        names, left_out = list_images(root)
        rows = [Row(name, name.partition("/")[0]) for name in names]
        if not rows:
            raise BenchError(
                f"data.root={self.root}: no images in this folder ({', '.join(EXTENSIONS)})"
                f"{unsupported_hint(left_out)}"
            )
        loose = [row.name for row in rows if "/" not in row.name]
        if loose:
            raise BenchError(
                f"data.root={self.root}: {len(loose)} images, {loose[0]} first, lie beside the "
                "class folders; move each into the folder of its class, or use data=prepared for "
                "images without classes"
            )
        classes = {row.label for row in rows}
        if {"query", "gallery"} <= classes <= set(PARTS):
            raise BenchError(
                f"data.root={self.root} holds query and gallery, a ready-made split; use "
                "data=prepared"
            )
        if len(classes) == 1:
            (only,) = classes
            raise BenchError(
                f"data.root={self.root} holds one class folder only, {only!r}, so every answer "
                f"would be right; if the classes are inside it, use data.root={self.root}/{only}"
                f"{unsupported_hint(left_out)}"
            )
        table = read_table(
            rows, root=root, cache=cache, max_unreadable=self.max_unreadable, left_out=left_out
        )
        return table.images(), table.left_out
