"""`data=fashion_mnist`: 70,000 grayscale images of clothes, 28x28 pixels, in ten classes."""

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
    *("T-shirt or top", "trouser", "pullover", "dress", "coat"),
    *("sandal", "shirt", "sneaker", "bag", "ankle boot"),
)
_URL = "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/"
_PARTS = ("train", "t10k")
_IMAGES, _LABELS = "{}-images-idx3-ubyte", "{}-labels-idx1-ubyte"
_MAX_BYTES = 200_000_000  # of an unpacked file


def _file(name: str, size: int, sha256: str, md5: str) -> RemoteFile:
    return RemoteFile(name, _URL + name, size, sha256, md5)


@dataclass
class FashionMnist(NamedSetWithTest):
    """Fashion-MNIST, read from its arrays without extracting image files."""

    info: ClassVar[DatasetInfo] = DatasetInfo(
        name="fashion_mnist",
        images=70_000,
        classes=10,
        license="MIT",
        source="https://github.com/zalandoresearch/fashion-mnist",
        citation="H. Xiao, K. Rasul, R. Vollgraf: Fashion-MNIST: a novel image dataset for "
        "benchmarking machine learning algorithms. arXiv:1708.07747, 2017",
        size=30_878_645,
        # SHA-256 from TensorFlow Datasets, MD5 from the publisher.
        files=(
            _file(
                "train-images-idx3-ubyte.gz",
                26_421_880,
                "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
                "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            ),
            _file(
                "train-labels-idx1-ubyte.gz",
                29_515,
                "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
                "25c81989df183df01b3e8a0aad5dffbe",
            ),
            _file(
                "t10k-images-idx3-ubyte.gz",
                4_422_102,
                "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
                "bef4ecab320f06d8554ea6380940ec79",
            ),
            _file(
                "t10k-labels-idx1-ubyte.gz",
                5_148,
                "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
                "bb300cfdad3c16e7a12a480ee83cd310",
            ),
        ),
    )

    def collect_parts(self, cache: Path) -> tuple[ImageSet, BoolArray, Sequence[LeftOut]]:
        """See `NamedSetWithTest.collect_parts`."""
        files = self.files_dir(cache)
        folders = [files / inner for inner in ("", "FashionMNIST/raw", "raw")]
        root = next((folder for folder in folders if any(folder.glob("t10k-images*"))), files)
        blocks = [self._block(root, part) for part in _PARTS]
        test = [np.full(len(block.labels), block.name == _PARTS[1]) for block in blocks]
        return image_set(blocks, CLASSES), np.concatenate(test), ()

    def _block(self, root: Path, part: str) -> Block:
        pixels = self._array(root, _IMAGES.format(part), dimensions=3)
        labels = self._array(root, _LABELS.format(part), dimensions=1).astype(np.int64)
        if len(labels) != len(pixels) or labels.max(initial=0) >= len(CLASSES):
            problem = f"{len(labels)} labels do not fit {len(pixels)} images ({part})"
            raise self.unexpected_files(root, problem)
        return Block(part, pixels, labels)

    def _array(self, root: Path, name: str, *, dimensions: int) -> RGB:
        """Read an array of bytes in IDX format: two zeros, type 8, dimensions, their sizes."""
        import gzip
        import struct
        import zlib

        try:
            if (root / name).exists():
                data = (root / name).read_bytes()
            else:
                with gzip.open(root / f"{name}.gz") as file:
                    data = file.read(_MAX_BYTES)
            *magic, n_dimensions = struct.unpack_from(">4B", data)
            shape = struct.unpack_from(f">{dimensions}I", data, 4)
        except (OSError, EOFError, zlib.error, struct.error) as error:
            raise self.unexpected_files(root, f"{name} cannot be read ({error})") from None
        start = 4 + 4 * dimensions
        if magic != [0, 0, 8] or n_dimensions != dimensions or len(data) - start != np.prod(shape):
            raise self.unexpected_files(root, f"{name} is not the expected array")
        return np.frombuffer(data, np.uint8, offset=start).reshape(shape)
