"""Detection and description of keypoints, in a deterministic order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from outliers_bench.data.decode import shrink
from outliers_bench.data.opencv import one_opencv_thread, opencv
from outliers_bench.engines.options import Engine
from outliers_bench.engines.protocols import Embedder, Key
from outliers_bench.keypoints.keypoints import Keypoints
from outliers_bench.keypoints.options import Detector, KeypointOptions
from outliers_bench.runtime.machine import map_in_threads
from outliers_bench.store.features import Space, Vector
from outliers_bench.types import RGB

_MIN_SIDE = 16  # pixels; OpenCV's pyramids fail on smaller images


class KeypointDetector:
    """`Describer` whose features are packed keypoints."""

    dimensions = None
    side = None  # full size: decoding at a reduced size loses details that keypoints need

    def __init__(self, options: KeypointOptions) -> None:
        self._options = options

    @property
    def name(self) -> str:
        """Name of the detector."""
        return self._options.detector.value

    def space(self) -> Space:
        """Return all that stored keypoints depend on: RootSIFT is computed from stored SIFT."""
        return keypoint_space(self._options)

    def prepare(self, image: RGB) -> RGB:
        """Shrink the image to `longest_side`."""
        return shrink(image, self._options.longest_side)

    def embedder(self, engine: Engine, cache: Path, sample: Callable[[], list[RGB]]) -> Embedder:  # noqa: ARG002 - nothing to build
        """Return a function that detects keypoints; there is nothing to build."""
        return partial(_detect_all, self._options)


def keypoint_space(options: KeypointOptions) -> Space:
    """Return all that keypoints depend on, except the photos."""
    return {
        "architecture": options.detector.value,
        "max_keypoints": options.max_keypoints,
        "longest_side": options.longest_side,
    }


def detect(image: RGB, options: KeypointOptions) -> Keypoints:
    """Detect the strongest keypoints of an image, which is not shrunk here.

    They are sorted by descending response, then by position. Images without contrast or smaller
    than 16 pixels have none.
    """
    empty = Keypoints(
        np.empty((0, 2), np.float32), np.empty((0, options.descriptor.nbytes), np.uint8)
    )
    if min(image.shape[:2]) < _MIN_SIDE:
        return empty
    gray = opencv().cvtColor(image, opencv().COLOR_RGB2GRAY)
    detector = _create_detector(options)  # in microseconds; OpenCV's are not thread-safe
    detected, descriptors = detector.detectAndCompute(gray, None)
    if descriptors is None or not len(detected):
        return empty
    # With equal responses, OpenCV returns more keypoints than requested, in undefined order.
    table = np.array([(*p.pt, p.response, p.size, p.angle) for p in detected])
    order = np.lexsort((table[:, 4], table[:, 3], table[:, 1], table[:, 0], -table[:, 2]))
    order = order[: options.max_keypoints]
    points = np.ascontiguousarray(table[order, :2], dtype=np.float32)
    return Keypoints(points, descriptors[order].astype(np.uint8))


def _create_detector(options: KeypointOptions) -> Any:  # noqa: ANN401 - see opencv
    if options.detector is Detector.sift:
        return opencv().SIFT_create(nfeatures=options.max_keypoints)
    if options.detector is Detector.orb:
        return opencv().ORB_create(nfeatures=options.max_keypoints)
    return opencv().xfeatures2d.AKAZE_create()


def _detect_all(
    options: KeypointOptions, images: Iterable[tuple[Key, RGB]]
) -> Iterator[tuple[Key, Vector]]:
    """Detect and pack keypoints of a stream of images in threads; results retain its order."""

    def detect_one(pair: tuple[Key, RGB]) -> tuple[Key, Vector]:
        key, image = pair
        return key, detect(image, options).pack()

    with one_opencv_thread():
        yield from map_in_threads(detect_one, images)
