"""`data=caltech101` and `data=caltech101_animals`: photos of 101 classes, 36 of them animals."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from outliers_bench.data.download.checksum import RemoteFile
from outliers_bench.data.named.folders import NamedFolders
from outliers_bench.data.named.metadata import DatasetInfo

# fmt: off
ANIMALS = (
    "ant", "bass", "beaver", "butterfly", "cougar_body", "crab", "crayfish", "crocodile",
    "dalmatian", "dolphin", "dragonfly", "elephant", "emu", "flamingo", "gerenuk", "hawksbill",
    "hedgehog", "ibis", "kangaroo", "leopards", "llama", "lobster", "mayfly", "nautilus", "octopus",
    "okapi", "panda", "pigeon", "platypus", "rhino", "rooster", "scorpion", "sea_horse", "starfish",
    "tick", "wild_cat",
)
# fmt: on
"""Classes of whole, living animals: no faces, no dinosaurs, no Snoopy."""

BACKGROUND = "background_google"
_ARCHIVE = "caltech-101/101_ObjectCategories.tar.gz"

CALTECH101 = DatasetInfo(
    name="caltech101",
    images=8677,
    classes=101,
    license="CC BY 4.0",
    source="https://data.caltech.edu/records/mzrjq-6wc02",
    citation="L. Fei-Fei, R. Fergus, P. Perona: Learning generative visual models from few "
    "training examples. CVPR Workshop 2004",
    size=137_414_764,
    files=(
        RemoteFile(
            "caltech-101.zip",
            "https://data.caltech.edu/records/mzrjq-6wc02/files/caltech-101.zip",
            size=137_414_764,
            # SHA-256 from TensorFlow Datasets, MD5 from torchvision.
            sha256="331234750fc7f77520e50d9565e8b6907b03565e30320da1401130db08c61f91",
            md5="3138e1922a9193bfa496528edbbc45d0",
        ),
    ),
    nested=(_ARCHIVE,),
    only=(_ARCHIVE,),
)


@dataclass
class Caltech101(NamedFolders):
    """Caltech-101 without its background class."""

    info: ClassVar[DatasetInfo] = CALTECH101
    inner: ClassVar[tuple[str, ...]] = ("caltech-101/101_ObjectCategories", "101_ObjectCategories")

    def includes_class(self, label: str) -> bool:
        """See `NamedFolders.includes_class`."""
        return label != BACKGROUND


@dataclass
class Caltech101Animals(Caltech101):
    """The 36 classes of Caltech-101 that are whole, living animals."""

    info: ClassVar[DatasetInfo] = replace(
        CALTECH101,
        name="caltech101_animals",
        images=2234,
        classes=len(ANIMALS),
        part_of=CALTECH101,
    )

    def includes_class(self, label: str) -> bool:
        """See `NamedFolders.includes_class`."""
        return label in ANIMALS
