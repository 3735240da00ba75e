"""`data=cifar10` and `data=fashion_mnist`: images in arrays, read without extracting files."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from outliers_bench.data.content_hash import content_hash
from outliers_bench.data.download.checksum import RemoteFile
from outliers_bench.data.named.metadata import DatasetInfo
from outliers_bench.data.named.source import NamedSetWithTest
from outliers_bench.types import RGB, BoolArray, ImageSet, IntArray, LeftOut

_SIDE = 32
_RECORD = 1 + 3 * _SIDE * _SIDE  # of CIFAR-10: label, then the red, green, and blue planes
_FASHION = "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/"
_MAX_BYTES = 200_000_000  # of an unpacked file


@dataclass(frozen=True)
class Block:
    """Images of one file."""

    name: str  # may be empty
    pixels: RGB  # shape (n, height, width), gray, or (n, height, width, 3); may be memory-mapped
    labels: IntArray  # shape (n,)


@dataclass(frozen=True)
class BlockReader:
    """Reader of images in arrays, named `<file>/<class>/<row>`, or `<class>/<row>`."""

    pixels: Mapping[str, RGB]

    def read(self, name: str, digest: bytes | None = None, *, side: int | None = None) -> RGB:  # noqa: ARG002
        """Return one image; see `ImageReader.read`."""
        *file, _, row = name.split("/")
        image = np.ascontiguousarray(self.pixels["".join(file)][int(row)])
        return np.repeat(image[..., None], 3, axis=2) if image.ndim == 2 else image


def image_set(blocks: Sequence[Block], classes: Sequence[str], *, digits: int = 5) -> ImageSet:
    """Return the images of all blocks as one set, in order.

    `classes` are the names of the labels 0, 1, ...; `digits` is the length of the row in a name.
    """
    return ImageSet(
        names=tuple(
            f"{block.name}/{classes[label]}/{row:0{digits}d}".removeprefix("/")
            for block in blocks
            for row, label in enumerate(block.labels.tolist())
        ),
        digests=tuple(
            content_hash(image.tobytes()).digest() for block in blocks for image in block.pixels
        ),
        labels=np.concatenate([block.labels for block in blocks]),
        classes=tuple(classes),
        reader=BlockReader({block.name: block.pixels for block in blocks}),
    )


@dataclass
class NamedArrays(NamedSetWithTest):
    """A named data set in arrays, of which the last block is the test part."""

    classes: ClassVar[tuple[str, ...]]

    def collect_parts(self, cache: Path) -> tuple[ImageSet, BoolArray, Sequence[LeftOut]]:
        """See `NamedSetWithTest.collect_parts`."""
        *train, test = self.read_blocks(self.files_dir(cache))
        images = image_set([*train, test], self.classes)
        return images, np.arange(len(images)) >= len(images) - len(test.labels), ()

    def read_blocks(self, folder: Path) -> list[Block]:
        """Read the files in a folder."""
        raise NotImplementedError


@dataclass
class Cifar10(NamedArrays):
    """CIFAR-10, its binary version: photos of 32x32 pixels."""

    info: ClassVar[DatasetInfo] = DatasetInfo(
        name="cifar10",
        images=60_000,
        classes=10,
        license="none stated",
        source="https://www.cs.toronto.edu/~kriz/cifar.html",
        citation="A. Krizhevsky: Learning multiple layers of features from tiny images. "
        "University of Toronto, 2009",
        files=(
            RemoteFile(
                "cifar-10-binary.tar.gz",
                "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
                size=170_052_171,
                sha256="c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
            ),
        ),
        only=("cifar-10-batches-bin/*.bin",),
    )
    classes: ClassVar[tuple[str, ...]] = (
        *("airplane", "automobile", "bird", "cat", "deer"),
        *("dog", "frog", "horse", "ship", "truck"),
    )

    def read_blocks(self, folder: Path) -> list[Block]:
        """See `NamedArrays.read_blocks`."""
        root = self.find_root(folder, "data_batch_1.bin", ("cifar-10-batches-bin",))
        names = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]
        return [self._block(root, name) for name in names]

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
        if labels.max() >= len(self.classes):
            raise self.unexpected_files(root, f"{file.name} has labels up to {labels.max()}")
        planes = records[:, 1:].reshape(-1, 3, _SIDE, _SIDE)
        return Block(name, planes.transpose(0, 2, 3, 1), labels)


@dataclass
class FashionMnist(NamedArrays):
    """Fashion-MNIST: grayscale images of clothes, 28x28 pixels."""

    info: ClassVar[DatasetInfo] = DatasetInfo(
        name="fashion_mnist",
        images=70_000,
        classes=10,
        license="MIT",
        source="https://github.com/zalandoresearch/fashion-mnist",
        citation="H. Xiao, K. Rasul, R. Vollgraf: Fashion-MNIST: a novel image dataset for "
        "benchmarking machine learning algorithms. arXiv:1708.07747, 2017",
        files=tuple(
            RemoteFile(name, _FASHION + name, size, sha256)
            for name, size, sha256 in (
                (
                    "train-images-idx3-ubyte.gz",
                    26_421_880,
                    "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
                ),
                (
                    "train-labels-idx1-ubyte.gz",
                    29_515,
                    "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
                ),
                (
                    "t10k-images-idx3-ubyte.gz",
                    4_422_102,
                    "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
                ),
                (
                    "t10k-labels-idx1-ubyte.gz",
                    5_148,
                    "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
                ),
            )
        ),
    )
    classes: ClassVar[tuple[str, ...]] = (
        *("T-shirt or top", "trouser", "pullover", "dress", "coat"),
        *("sandal", "shirt", "sneaker", "bag", "ankle boot"),
    )

    def read_blocks(self, folder: Path) -> list[Block]:
        """See `NamedArrays.read_blocks`."""
        root = self.find_root(folder, "t10k-images*", ("FashionMNIST/raw", "raw"))
        return [self._block(root, part) for part in ("train", "t10k")]

    def _block(self, root: Path, part: str) -> Block:
        pixels = self._array(root, f"{part}-images-idx3-ubyte", dimensions=3)
        labels = self._array(root, f"{part}-labels-idx1-ubyte", dimensions=1).astype(np.int64)
        if len(labels) != len(pixels) or labels.max(initial=0) >= len(self.classes):
            problem = f"{len(labels)} labels do not fit {len(pixels)} images ({part})"
            raise self.unexpected_files(root, problem)
        return Block(part, pixels, labels)

    def _array(self, root: Path, name: str, *, dimensions: int) -> RGB:
        """Read an array of bytes in IDX format: two zeros, type 8, dimensions, their sizes."""
        file = root / name
        try:
            with file.open("rb") if file.exists() else gzip.open(f"{file}.gz") as stream:
                data = stream.read(_MAX_BYTES)
            magic, *shape = np.frombuffer(data, ">u4", count=1 + dimensions).tolist()
        except (OSError, EOFError, zlib.error, ValueError) as error:
            raise self.unexpected_files(root, f"{name} cannot be read ({error})") from None
        start = 4 + 4 * dimensions
        if magic != 0x800 + dimensions or len(data) - start != np.prod(shape):
            raise self.unexpected_files(root, f"{name} is not the expected array")
        return np.frombuffer(data, np.uint8, offset=start).reshape(shape)
