"""Keypoints in the feature store: computed once an image, read when they are needed."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path

from outliers_bench.engines.options import Engine
from outliers_bench.features.extract import Features
from outliers_bench.keypoints.detect import KeypointDetector
from outliers_bench.keypoints.keypoints import Keypoints
from outliers_bench.keypoints.options import KeypointOptions
from outliers_bench.runtime.meter import Meter
from outliers_bench.types import ImageSet, IntArray, LeftOut

HELD_BYTES = 64 * 2**20  # some 900 images of 500 keypoints: verifying asks for the same ones often


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
    """A `KeypointTable` that reads from the store, and holds on to what it has read last."""

    def __init__(self, features: Features, images: ImageSet, width: int) -> None:
        self._features = features
        self._images = images
        self._width = width
        self._recent: OrderedDict[bytes, Keypoints] = OrderedDict()
        self._held = 0  # bytes

    def __len__(self) -> int:
        return len(self._images)

    def take(self, rows: Sequence[int] | IntArray) -> list[Keypoints]:
        """The keypoints of the images at those positions, in that order."""
        digests = [self._images.digests[row] for row in rows]
        found = {digest: self._recent[digest] for digest in digests if digest in self._recent}
        missing = [row for row in rows if self._images.digests[row] not in found]
        if missing:
            stored = self._features.get(self._images.take(missing))
            for digest, packed in stored.items():
                found[digest] = Keypoints.unpack(packed, self._width)
                self._recent[digest] = found[digest]
                self._held += packed.nbytes
        while self._held > HELD_BYTES:
            _, oldest = self._recent.popitem(last=False)
            self._held -= oldest.points.nbytes + oldest.descriptors.nbytes
        return [found[digest] for digest in digests]
