"""`data=folder`: a folder for each class, cut by us."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from omegaconf import MISSING

from outliers_bench.data.files import EXTENSIONS, existing_folder, list_images
from outliers_bench.data.source import DataSource
from outliers_bench.data.split import Protocol, check_shares, cut
from outliers_bench.data.table import PARTS, Row, read_table
from outliers_bench.errors import BenchError
from outliers_bench.types import Split


@dataclass
class ClassFolders(DataSource):
    """Images in one folder for each class, at any depth below it.

    Parameters
    ----------
    root : str
        The folder that holds the class folders.
    train, query : float
        Shares; see `cut`.
    protocol : Protocol
        See `cut`.
    """

    root: str = MISSING
    train: float = 0.7
    query: float = 0.5
    protocol: Protocol = Protocol.query_gallery

    def load(self, *, seed: int, cache: Path) -> Split:
        """Find the images and cut them; see `DataSource.load`."""
        check_shares(train=self.train, query=self.query)
        root = existing_folder(self.root, "data.root")
        rows = [Row(name, name.partition("/")[0]) for name in list_images(root)]
        if not rows:
            raise BenchError(
                f"data.root={self.root}: no images in this folder ({', '.join(EXTENSIONS)})"
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
            )
        table = read_table(rows, root=root, cache=cache, max_unreadable=self.max_unreadable)
        return cut(
            table.images(),
            name=self.name or root.resolve().name,
            train=self.train,
            query=self.query,
            protocol=self.protocol,
            seed=seed,
            left_out=table.left_out,
        )
