"""`data=prepared`: a split made by others, as folders train, query and gallery."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from omegaconf import MISSING

from outliers_bench.data.files import existing_folder, list_images
from outliers_bench.data.source import DataSource
from outliers_bench.data.table import PARTS, Row, read_table, ready_made
from outliers_bench.errors import BenchError
from outliers_bench.types import Split


@dataclass
class PreparedFolders(DataSource):
    """Folders `query` and `gallery`, and `train` if there is one.

    Images in a folder for each class are labelled with it. The images of query and gallery may lie
    without such folders, as in a competition: then they are ranked but not scored.

    Parameters
    ----------
    root : str
        The folder that holds the parts.
    """

    root: str = MISSING

    def load(self, *, seed: int, cache: Path) -> Split:  # noqa: ARG002 - nothing is left to chance
        """Find the images of each part; see `DataSource.load`."""
        root = existing_folder(self.root, "data.root")
        rows = [row for part in PARTS for row in self._rows(root, part)]
        table = read_table(rows, root=root, cache=cache, max_unreadable=self.max_unreadable)
        return ready_made(table, name=self.name or root.resolve().name)

    def _rows(self, root: Path, part: str) -> list[Row]:
        folder = root / part
        if not folder.is_dir():
            if part == "train":
                return []
            raise BenchError(
                f"data.root={self.root}: there is no folder {part} in it; data=prepared needs "
                "query and gallery (and takes train), data=folder cuts class folders itself"
            )
        names = list_images(folder)
        if not names and part != "train":
            raise BenchError(f"data.root={self.root}: no images in {part}")
        loose = [name for name in names if "/" not in name]
        if loose and part == "train":
            raise BenchError(
                f"data.root={self.root}: train/{loose[0]} lies in no class folder; images to learn "
                "from need a folder for each class, train/<class>/"
            )
        if loose and len(loose) < len(names):
            raise BenchError(
                f"data.root={self.root}: {part} has images in class folders and {len(loose)} "
                f"beside them ({part}/{loose[0]}); give all of them a class folder, or none"
            )
        return [
            Row(f"{part}/{name}", None if loose else name.partition("/")[0], part) for name in names
        ]
