"""Keypoints in the feature store: computed once an image, read when they are needed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from outliers_bench.features.engine import Engine
from outliers_bench.features.extract import Features
from outliers_bench.keypoints.detect import KeypointDetector
from outliers_bench.keypoints.options import KeypointOptions
from outliers_bench.keypoints.types import Keypoints
from outliers_bench.measure import Meter
from outliers_bench.types import ImageSet, IntArray, LeftOut


class StoredKeypoints:
    """The keypoints of every image under one set of options.

    Parameters
    ----------
    options : KeypointOptions
        Which keypoints.
    cache : Path
        Directory of the feature store.
    meter : Meter
        Takes down times and counts.
    """

    def __init__(self, options: KeypointOptions, cache: Path, meter: Meter) -> None:
        detector = KeypointDetector(options)
        self._features = Features(detector, Engine(), cache, meter, dtype="u1", stage="detect")
        self._width = options.descriptor.nbytes

    def compute(
        self, images: ImageSet, *, commit: Callable[[], object] = lambda: None
    ) -> dict[bytes, LeftOut]:
        """Find the keypoints of images that have none stored; see `Features.compute`."""
        return self._features.compute(images, commit=commit)

    def empty(self, images: ImageSet) -> set[bytes]:
        """Digests of the images without any keypoint."""
        return self._features.empty(images)

    def nbytes(self, images: ImageSet) -> int:
        """Size of the images' keypoints and descriptors."""
        return self._features.nbytes(images)

    def table(self, images: ImageSet) -> StoredTable:
        """The keypoints of images that `compute` has seen, as a table in their order."""
        return StoredTable(self._features, images, self._width)


class StoredTable:
    """A `KeypointTable` that reads from the store."""

    def __init__(self, features: Features, images: ImageSet, width: int) -> None:
        self._features = features
        self._images = images
        self._width = width

    def __len__(self) -> int:
        return len(self._images)

    def take(self, rows: Sequence[int] | IntArray) -> list[Keypoints]:
        """The keypoints of the images at those positions, in that order."""
        images = self._images.take(rows)
        found = self._features.get(images)
        return [Keypoints.unpack(found[digest], self._width) for digest in images.digests]
