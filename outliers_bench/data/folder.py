"""`data=folder`: one folder per class, split by the benchmark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from omegaconf import MISSING

from outliers_bench.data.image_files import existing_folder
from outliers_bench.data.listing import excluded_hint, list_images
from outliers_bench.data.source import LabeledSource, folder_name
from outliers_bench.data.table import PARTS, Row
from outliers_bench.errors import BenchError
from outliers_bench.runtime.option_roles import PLACE
from outliers_bench.types import ImageSet, LeftOut


@dataclass
class ClassFolders(LabeledSource):
    """Images in one folder per class, at any depth.

    Parameters
    ----------
    root : str
        Folder that contains the class folders.
    """

    root: str = field(default=MISSING, metadata=PLACE)

    def default_name(self) -> str:
        """Return the folder's name; see `DataSource.default_name`."""
        return folder_name(self.root)

    def collect(self, cache: Path) -> tuple[ImageSet, Sequence[LeftOut]]:
        """Find the images; see `LabeledSource.collect`."""
        root = existing_folder(self.root, "data.root")
        names, left_out = list_images(root)
        rows = [Row(name, name.partition("/")[0]) for name in names]
        if not rows:
            raise BenchError(
                f"data.root={self.root}: no images in this folder{excluded_hint(left_out)}"
            )
        loose = [row.name for row in rows if "/" not in row.name]
        if loose:
            raise BenchError(
                f"data.root={self.root}: {len(loose)} images, {loose[0]} first, are next to the "
                "class folders; move each into the folder of its class, or use data=prepared for "
                "images without classes"
            )
        classes = {row.label for row in rows}
        if {"query", "gallery"} <= classes <= set(PARTS):
            raise BenchError(
                f"data.root={self.root} contains query and gallery, a ready-made split; use "
                "data=prepared"
            )
        if len(classes) == 1:
            (only,) = classes
            raise BenchError(
                f"data.root={self.root} contains only one class folder, {only!r}, so every result "
                f"would be relevant; if the classes are inside it, use data.root={self.root}/{only}"
                f"{excluded_hint(left_out)}"
            )
        table = self.read_table(rows, root, cache, left_out)
        return table.images(), table.left_out
