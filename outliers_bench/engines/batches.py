"""Batches of images, all of one shape."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np
import numpy.typing as npt

from outliers_bench.engines.protocols import Key
from outliers_bench.types import RGB


class SizedStream:
    """Stream of images with a length hint; it is shorter if some turn out to be unreadable."""

    def __init__(self, images: Iterable[tuple[Key, RGB]], count: int) -> None:
        self._images = images
        self._count = count

    def __iter__(self) -> Iterator[tuple[Key, RGB]]:
        return iter(self._images)

    def __length_hint__(self) -> int:
        return self._count


def batches(
    images: Iterable[tuple[Key, RGB]], size: int
) -> Iterator[tuple[list[Key], npt.NDArray[np.uint8]]]:
    """Group images into batches; the last one is padded with blank images to the same shape.

    Returns
    -------
    iterator of (keys, array of uint8, shape (size, image_size, image_size, 3))
        A padded batch has fewer keys than rows.
    """
    stream = iter(images)
    while group := list(islice(stream, size)):
        keys = [key for key, _ in group]
        stack = np.zeros((size, *group[0][1].shape), dtype=np.uint8)
        for row, (_, image) in enumerate(group):
            stack[row] = image
        yield keys, stack
