"""Image sets in arrays, the format of small classic data sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from outliers_bench.data.content_hash import content_hash
from outliers_bench.types import RGB, ImageSet, IntArray


@dataclass(frozen=True)
class Block:
    """Images of one file.

    Parameters
    ----------
    name : str
        Name of the file.
    pixels : array of uint8, shape (n, height, width) or (n, height, width, 3)
        Gray or RGB; may be memory-mapped.
    labels : array of int64, shape (n,)
    """

    name: str
    pixels: RGB
    labels: IntArray


@dataclass(frozen=True)
class BlockReader:
    """Reader of images in arrays, named `<file>/<class>/<row>`."""

    pixels: Mapping[str, RGB]

    def read(self, name: str, digest: bytes | None = None, *, side: int | None = None) -> RGB:  # noqa: ARG002
        """Return one image; see `ImageReader.read`."""
        file, _, row = name.split("/")
        image = np.ascontiguousarray(self.pixels[file][int(row)])
        return np.repeat(image[..., None], 3, axis=2) if image.ndim == 2 else image


def image_set(blocks: Sequence[Block], classes: Sequence[str]) -> ImageSet:
    """Return the images of all blocks as one set, in order.

    Parameters
    ----------
    blocks : sequence of Block
        Blocks with the same classes.
    classes : sequence of str
        Class names of the labels 0, 1, ...; without slashes.
    """
    return ImageSet(
        names=tuple(
            f"{block.name}/{classes[label]}/{row:05d}"
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
