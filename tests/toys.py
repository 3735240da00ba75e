"""Small data shared by tests."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from outliers_bench.data.synthetic import Synthetic
from outliers_bench.errors import UnreadableImageError
from outliers_bench.types import RGB, Exclusion, ImageSet, Split

BARE = (
    "data=synthetic",
    "model=pixels",
)  # choices that need no optional dependency, unlike the defaults


@dataclass
class ArrayReader:
    """Reader of images in memory that records their names; others are unreadable."""

    arrays: dict[str, RGB]
    decoded: list[str] = field(default_factory=list)

    def read(self, name: str, digest: bytes | None = None, *, side: int | None = None) -> RGB:
        self.decoded.append(name)
        if name not in self.arrays:
            raise UnreadableImageError("broken on purpose", name=name)
        return self.arrays[name]


def digest(name: str) -> bytes:
    return hashlib.blake2b(name.encode(), digest_size=16).digest()


def image_set(
    names: Sequence[str],
    labels: Sequence[int] | None = None,
    classes: Sequence[str] = ("a", "b", "c"),
    reader: ArrayReader | None = None,
) -> ImageSet:
    return ImageSet(
        names=tuple(names),
        digests=tuple(map(digest, names)),
        labels=None if labels is None else np.array(labels, dtype=np.int64),
        classes=tuple(classes),
        reader=reader or ArrayReader({}),
    )


def toy_split(query: Sequence[int], gallery: Sequence[int], *, classes: int = 10) -> Split:
    """Return a split with the given labels and without pixels."""
    names = [f"class-{i}" for i in range(classes)]
    reader = ArrayReader({})

    def part(kind: str, labels: Sequence[int]) -> ImageSet:
        return image_set([f"{kind}-{i}" for i in range(len(labels))], labels, names, reader)

    return Split("toy", part("train", []), part("query", query), part("gallery", gallery))


def exclude_nothing(queries, gallery) -> Exclusion:
    return Exclusion.nothing(len(queries), len(gallery))


def noise_images(count: int, *, size: int = 40, seed: int = 0) -> ArrayReader:
    rng = np.random.default_rng(seed)
    return ArrayReader(
        {f"image-{i}": rng.integers(0, 256, (size, size, 3), dtype=np.uint8) for i in range(count)}
    )


def write_images(source: Synthetic, directory: Path, *, extension: str = "png") -> list[Path]:
    """Write all images as files, `<directory>/<class>/<individual>/<image>.<extension>`."""
    images = source.all_images()
    files = []
    for row, name in enumerate(images.names):
        file = directory / f"{name}.{extension}"
        file.parent.mkdir(parents=True, exist_ok=True)
        _, encoded = cv2.imencode(f".{extension}", images.read(row)[..., ::-1])
        file.write_bytes(encoded.tobytes())
        files.append(file)
    return files
