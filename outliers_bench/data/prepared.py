"""`data=prepared`: a ready-made split in the folders train, query, and gallery."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from omegaconf import MISSING

from outliers_bench.data.image_files import existing_folder
from outliers_bench.data.listing import excluded_hint, list_images
from outliers_bench.data.source import DataSource, Grouping, folder_name
from outliers_bench.data.table import PARTS, Row, split_from_table
from outliers_bench.errors import BenchError
from outliers_bench.runtime.option_roles import PLACE
from outliers_bench.types import LeftOut, Split


@dataclass
class PreparedFolders(DataSource):
    """Folders `query` and `gallery`, and optionally `train`.

    Images in class folders are labeled with the class. Query and gallery images may be without
    class folders, as in a competition: they are then ranked but not scored.

    Parameters
    ----------
    root : str
        Folder that contains the parts.
    """

    root: str = field(default=MISSING, metadata=PLACE)

    def default_name(self) -> str:
        """Return the folder's name; see `DataSource.default_name`."""
        return folder_name(self.root)

    def load(
        self,
        *,
        seed: int,  # noqa: ARG002 - nothing is random
        cache: Path,
        group: Grouping | None = None,  # noqa: ARG002 - the parts are given
    ) -> Split:
        """Find the images of each part; see `DataSource.load`."""
        self.check()
        root = existing_folder(self.root, "data.root")
        rows: list[Row] = []
        left_out: list[LeftOut] = []
        for part in PARTS:
            part_rows, excluded = self._rows(root, part)
            rows += part_rows
            left_out += excluded
        return split_from_table(self.read_table(rows, root, cache, left_out), name=self.title())

    def _rows(self, root: Path, part: str) -> tuple[list[Row], list[LeftOut]]:
        if not (root / part).is_dir():
            if part == "train":
                return [], []
            raise BenchError(
                f"data.root={self.root}: there is no folder {part} in it; data=prepared needs "
                "query and gallery (train is optional); data=folder splits class folders itself"
            )
        names, left_out = list_images(root, part)
        if not names and part != "train":
            raise BenchError(f"data.root={self.root}: no images in {part}{excluded_hint(left_out)}")
        loose = [name for name in names if name.count("/") == 1]
        if loose and part == "train":
            raise BenchError(
                f"data.root={self.root}: {loose[0]} is not in a class folder; training "
                "images need one folder per class, train/<class>/"
            )
        if loose and len(loose) < len(names):
            raise BenchError(
                f"data.root={self.root}: {part} has images in class folders and {len(loose)} "
                f"next to them ({loose[0]}); put all of them in class folders, or none"
            )
        rows = [Row(name, None if loose else name.split("/")[1], part) for name in names]
        return rows, left_out
