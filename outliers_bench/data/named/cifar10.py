"""`data=cifar10`: 60,000 photos of 32x32 pixels in ten classes, binary version."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from outliers_bench.data.download.checksum import RemoteFile
from outliers_bench.data.named.arrays import Block, image_set
from outliers_bench.data.named.metadata import DatasetInfo
from outliers_bench.data.named.source import NamedSetWithTest
from outliers_bench.types import RGB, BoolArray, ImageSet, LeftOut

CLASSES = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)
_FOLDER = "cifar-10-batches-bin"
_BATCHES = (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch")
_SIDE = 32
_RECORD = 1 + 3 * _SIDE * _SIDE  # label, then the red, green, and blue planes


@dataclass
class Cifar10(NamedSetWithTest):
    """CIFAR-10, read from its records without extracting image files."""

    info: ClassVar[DatasetInfo] = DatasetInfo(
        name="cifar10",
        images=60_000,
        classes=10,
        license="none stated",
        source="https://www.cs.toronto.edu/~kriz/cifar.html",
        citation="A. Krizhevsky: Learning multiple layers of features from tiny images. "
        "University of Toronto, 2009",
        size=170_052_171,
        files=(
            RemoteFile(
                "cifar-10-binary.tar.gz",
                "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
                size=170_052_171,
                # SHA-256 from TensorFlow Datasets, MD5 from the publisher.
                sha256="c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
                md5="c32a1d4ab5d03f1284b67883e8d87530",
            ),
        ),
        only=(f"{_FOLDER}/*.bin",),
    )

    def collect_parts(self, cache: Path) -> tuple[ImageSet, BoolArray, Sequence[LeftOut]]:
        """See `NamedSetWithTest.collect_parts`."""
        root = self.find_root(self.files_dir(cache), "data_batch_1.bin", (_FOLDER,))
        blocks = [self._block(root, name) for name in _BATCHES]
        test = [np.full(len(block.labels), block.name == _BATCHES[-1]) for block in blocks]
        return image_set(blocks, CLASSES), np.concatenate(test), ()

    def _block(self, root: Path, name: str) -> Block:
        file = root / f"{name}.bin"
        try:
            content: RGB = np.memmap(file, np.uint8, mode="r")
        except (OSError, ValueError) as error:  # missing, or empty
            raise self.unexpected_files(root, f"{file.name} cannot be read ({error})") from None
        if len(content) % _RECORD:
            problem = f"{file.name} has {len(content):,} bytes, not a whole number of records"
            raise self.unexpected_files(root, problem)
        records = content.reshape(-1, _RECORD)
        labels = records[:, 0].astype(np.int64)
        if labels.max() >= len(CLASSES):
            raise self.unexpected_files(root, f"{file.name} has labels up to {labels.max()}")
        planes = records[:, 1:].reshape(-1, 3, _SIDE, _SIDE)
        return Block(name, planes.transpose(0, 2, 3, 1), labels)
