"""`data=animals90`, `data=caltech101` and `data=caltech101_animals`: photos in class folders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from outliers_bench.data.download.checksum import RemoteFile
from outliers_bench.data.listing import excluded_hint, list_images
from outliers_bench.data.named.metadata import DatasetInfo
from outliers_bench.data.named.source import NamedSet
from outliers_bench.data.table import Row
from outliers_bench.types import ImageSet, LeftOut

ANIMALS90 = "iamsouravbanerjee/animal-image-dataset-90-different-animals/versions/5"  # July 2022
# fmt: off
ANIMALS = (
    "ant", "bass", "beaver", "butterfly", "cougar_body", "crab", "crayfish", "crocodile",
    "dalmatian", "dolphin", "dragonfly", "elephant", "emu", "flamingo", "gerenuk", "hawksbill",
    "hedgehog", "ibis", "kangaroo", "leopards", "llama", "lobster", "mayfly", "nautilus", "octopus",
    "okapi", "panda", "pigeon", "platypus", "rhino", "rooster", "scorpion", "sea_horse", "starfish",
    "tick", "wild_cat",
)
# fmt: on
"""Classes of Caltech-101 that are whole, living animals: no faces, no dinosaurs, no Snoopy."""

_ARCHIVE = "caltech-101/101_ObjectCategories.tar.gz"


@dataclass
class NamedFolders(NamedSet):
    """Images in one folder per class; the folder name in lower case is the class."""

    inner: ClassVar[tuple[str, ...]] = ()
    """Folders of the data set that may contain the class folders, innermost first."""

    def includes_class(self, label: str) -> bool:
        """Check whether a class belongs to the data set: all but Caltech-101's background."""
        return label != "background_google"

    def collect(self, cache: Path) -> tuple[ImageSet, Sequence[LeftOut]]:
        """Find the images; see `LabeledSource.collect`."""
        files = self.files_dir(cache)
        root = next((files / inner for inner in self.inner if (files / inner).is_dir()), files)
        names, left_out = list_images(root)
        rows = [Row(name, _label(name)) for name in names if self._is_included(name)]
        if len({row.label for row in rows}) < 2:
            raise self.unexpected_files(
                root, f"there are no folders of its classes in it{excluded_hint(left_out)}"
            )
        excluded = [item for item in left_out if self._is_included(item.name)]
        table = self.read_table(rows, root, cache, excluded)
        return table.images(), table.left_out

    def _is_included(self, name: str) -> bool:
        return "/" in name and self.includes_class(_label(name))


def _label(name: str) -> str:
    return name.partition("/")[0].lower()


@dataclass
class Animals90(NamedFolders):
    """The Animal Image Dataset (90 Different Animals) on Kaggle, 60 photos of each."""

    info: ClassVar[DatasetInfo] = DatasetInfo(
        name="animals90",
        images=5400,
        classes=90,
        license="see its page; the photos are from Google",
        source=f"https://www.kaggle.com/datasets/{ANIMALS90.partition('/versions')[0]}",
        citation="S. Banerjee: Animal Image Dataset (90 Different Animals), version 5. "
        "Kaggle, 2022",
        kaggle=ANIMALS90,
        files=(
            RemoteFile(
                "animal-image-dataset-90-different-animals.zip",
                f"https://www.kaggle.com/datasets/{ANIMALS90}",
            ),
        ),
    )
    inner: ClassVar[tuple[str, ...]] = ("animals/animals", "animals")


@dataclass
class Caltech101(NamedFolders):
    """Caltech-101 without its background class."""

    info: ClassVar[DatasetInfo] = DatasetInfo(
        name="caltech101",
        images=8677,
        classes=101,
        license="CC BY 4.0",
        source="https://data.caltech.edu/records/mzrjq-6wc02",
        citation="L. Fei-Fei, R. Fergus, P. Perona: Learning generative visual models from few "
        "training examples. CVPR Workshop 2004",
        files=(
            RemoteFile(
                "caltech-101.zip",
                "https://data.caltech.edu/records/mzrjq-6wc02/files/caltech-101.zip",
                size=137_414_764,
                sha256="331234750fc7f77520e50d9565e8b6907b03565e30320da1401130db08c61f91",
            ),
        ),
        nested=(_ARCHIVE,),
        only=(_ARCHIVE,),
    )
    inner: ClassVar[tuple[str, ...]] = ("caltech-101/101_ObjectCategories", "101_ObjectCategories")


@dataclass
class Caltech101Animals(Caltech101):
    """The 36 classes of Caltech-101 that are whole, living animals."""

    info: ClassVar[DatasetInfo] = replace(
        Caltech101.info,
        name="caltech101_animals",
        images=2234,
        classes=len(ANIMALS),
        part_of=Caltech101.info,
    )

    def includes_class(self, label: str) -> bool:
        """See `NamedFolders.includes_class`."""
        return label in ANIMALS
