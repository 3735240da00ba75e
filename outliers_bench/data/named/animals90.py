"""`data=animals90`: photos of 90 animals from Kaggle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from outliers_bench.data.download.checksum import RemoteFile
from outliers_bench.data.named.folders import NamedFolders
from outliers_bench.data.named.metadata import DatasetInfo

SET = "iamsouravbanerjee/animal-image-dataset-90-different-animals"
VERSION = 5  # of July 2022


@dataclass
class Animals90(NamedFolders):
    """The Animal Image Dataset (90 Different Animals), 60 photos of each."""

    info: ClassVar[DatasetInfo] = DatasetInfo(
        name="animals90",
        images=5400,
        classes=90,
        license="see its page; the photos are from Google",
        source=f"https://www.kaggle.com/datasets/{SET}",
        citation="S. Banerjee: Animal Image Dataset (90 Different Animals), version 5. "
        "Kaggle, 2022",
        kaggle=f"{SET}/versions/{VERSION}",
        files=(
            RemoteFile(
                "animal-image-dataset-90-different-animals.zip",
                f"https://www.kaggle.com/datasets/{SET}/versions/{VERSION}",
            ),
        ),
    )
    inner: ClassVar[tuple[str, ...]] = ("animals/animals", "animals")
