"""`data=oxford_pets`: photos of 37 breeds of cats and dogs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from outliers_bench.data.download.checksum import RemoteFile
from outliers_bench.data.named.metadata import DatasetInfo
from outliers_bench.data.named.source import NamedSetWithTest
from outliers_bench.data.table import Row
from outliers_bench.types import BoolArray, ImageSet, LeftOut

_TRAIN, _TEST = "annotations/trainval.txt", "annotations/test.txt"


@dataclass
class OxfordPets(NamedSetWithTest):
    """Oxford-IIIT Pet: the images in its lists, with classes from the file names."""

    info: ClassVar[DatasetInfo] = DatasetInfo(
        name="oxford_pets",
        images=7349,
        classes=37,
        license="CC BY-SA 4.0",
        source="https://www.robots.ox.ac.uk/~vgg/data/pets/",
        citation="O. M. Parkhi, A. Vedaldi, A. Zisserman, C. V. Jawahar: Cats and dogs. CVPR 2012",
        files=(
            RemoteFile(
                "images.tar.gz",
                "https://www.robots.ox.ac.uk/~vgg/data/pets/data/images.tar.gz",
                size=791_918_971,
                sha256="67195c5e1c01f1ab5f9b6a5d22b8c27a580d896ece458917e61d459337fa318d",
            ),
            RemoteFile(
                "annotations.tar.gz",
                "https://www.robots.ox.ac.uk/~vgg/data/pets/data/annotations.tar.gz",
                size=19_173_078,
                sha256="52425fb6de5c424942b7626b428656fcbd798db970a937df61750c0f1d358e91",
            ),
        ),
        only=("images/*.jpg", "annotations/*.txt"),
    )

    def collect_parts(self, cache: Path) -> tuple[ImageSet, BoolArray, Sequence[LeftOut]]:
        """See `NamedSetWithTest.collect_parts`."""
        root = self.find_root(self.files_dir(cache), _TRAIN, ("oxford-iiit-pet",))
        listed = {part: self._listed(root, part) for part in (_TRAIN, _TEST)}
        rows = [
            Row(f"images/{name}.jpg", name.rpartition("_")[0].lower())
            for names in listed.values()
            for name in names
        ]
        table = self.read_table(rows, root, cache)
        images = table.images()
        tests = {f"images/{name}.jpg" for name in listed[_TEST]}
        return images, np.array([name in tests for name in images.names], bool), table.left_out

    def _listed(self, root: Path, part: str) -> list[str]:
        """Read the images in a list; its lines are name, class, species, and breed."""
        try:
            lines = (root / part).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise self.unexpected_files(root, f"{part} cannot be read ({error})") from None
        names = [line.split()[0] for line in lines if line.strip() and not line.startswith("#")]
        bad = [name for name in names if "/" in name or "\\" in name or "_" not in name]
        if bad or not names:
            problem = f"{part} is not a list of photos ({bad[:1] or 'it is empty'})"
            raise self.unexpected_files(root, problem)
        return names
