"""Keypoints in the feature store: computed once per image, read on demand."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

from outliers_bench.engines.options import Engine
from outliers_bench.features.extract import Features
from outliers_bench.keypoints.detect import KeypointDetector
from outliers_bench.keypoints.keypoints import Keypoints
from outliers_bench.keypoints.options import KeypointOptions
from outliers_bench.runtime.meter import Meter
from outliers_bench.types import ImageSet, IntArray

CACHE_BYTES = 64 * 2**20  # about 900 images of 500 keypoints: verification reuses the same ones


class StoredKeypoints(Features):
    """Stored keypoints of images for one set of options."""

    def __init__(self, options: KeypointOptions, cache: Path, meter: Meter) -> None:
        detector = KeypointDetector(options)
        super().__init__(detector, Engine(), cache, meter, dtype="u1", stage="detect")
        self._width = options.descriptor.nbytes

    def table(self, images: ImageSet) -> StoredTable:
        """Return a table of the keypoints of images that `compute` has processed."""
        return StoredTable(self, images, self._width)


class StoredTable:
    """`KeypointTable` that reads from the store, with a cache of recently used images."""

    def __init__(self, features: Features, images: ImageSet, width: int) -> None:
        self._features = features
        self._images = images
        self._width = width
        self._recent: OrderedDict[bytes, Keypoints] = OrderedDict()
        self._cached_bytes = 0

    def __len__(self) -> int:
        return len(self._images)

    def take(self, rows: Sequence[int] | IntArray) -> list[Keypoints]:
        """Return the keypoints of the images at the given positions, in that order."""
        digests = [self._images.digests[row] for row in rows]
        keypoints = {digest: self._recent[digest] for digest in digests if digest in self._recent}
        missing = [row for row in rows if self._images.digests[row] not in keypoints]
        if missing:
            stored = self._features.get(self._images.take(missing))
            for digest, packed in stored.items():
                keypoints[digest] = Keypoints.unpack(packed, self._width)
                self._recent[digest] = keypoints[digest]
                self._cached_bytes += packed.nbytes
        while self._cached_bytes > CACHE_BYTES:
            _, oldest = self._recent.popitem(last=False)
            self._cached_bytes -= oldest.points.nbytes + oldest.descriptors.nbytes
        return [keypoints[digest] for digest in digests]
