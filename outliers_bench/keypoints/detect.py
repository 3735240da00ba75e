"""Finding and describing keypoints: the strongest of an image, in an order that never varies."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path
from threading import local
from typing import Any

import numpy as np

from outliers_bench.data.decode import shrink
from outliers_bench.data.opencv import one_opencv_thread, opencv
from outliers_bench.engines.options import Engine
from outliers_bench.engines.protocols import Embedder, Key
from outliers_bench.keypoints.keypoints import Keypoints
from outliers_bench.keypoints.options import Detector, KeypointOptions
from outliers_bench.runtime.machine import cores
from outliers_bench.store.features import Space, Vector
from outliers_bench.types import RGB

_SMALLEST = 16  # pixels a side; OpenCV's pyramids fail on less, and nothing is to be seen there
_AHEAD = 4  # images a thread that may be under way


class KeypointDetector:
    """A `Describer` whose features are packed keypoints.

    Parameters
    ----------
    options : KeypointOptions
        What finds them, how many, in an image of which size.
    """

    dimensions = None
    side = None  # the details that keypoints lie on do not survive a reduced decoding

    def __init__(self, options: KeypointOptions) -> None:
        self._options = options

    @property
    def name(self) -> str:
        """The detector's name."""
        return self._options.detector.value

    def space(self) -> Space:
        """Everything that keypoints depend on; RootSIFT is made of stored SIFT when compared."""
        return keypoint_space(self._options)

    def prepare(self, image: RGB) -> RGB:
        """Shrink the image to `longest_side`."""
        return shrink(image, self._options.longest_side)

    def embedder(self, engine: Engine, cache: Path, sample: Callable[[], list[RGB]]) -> Embedder:  # noqa: ARG002 - nothing to build
        """Get ready to detect, which takes nothing."""
        return partial(_detect_all, self._options)


def keypoint_space(options: KeypointOptions) -> Space:
    """What keypoints depend on, but the photos."""
    return {
        "architecture": options.detector.value,
        "max_keypoints": options.max_keypoints,
        "longest_side": options.longest_side,
    }


def detect(image: RGB, options: KeypointOptions) -> Keypoints:
    """The strongest keypoints of an image.

    Parameters
    ----------
    image : array of uint8, shape (height, width, 3)
        RGB; taken as it is, not shrunk.
    options : KeypointOptions

    Returns
    -------
    Keypoints
        By falling response, then by place; none for images without contrast or below 16 pixels.
    """
    empty = Keypoints(
        np.empty((0, 2), np.float32), np.empty((0, options.descriptor.nbytes), np.uint8)
    )
    if min(image.shape[:2]) < _SMALLEST:
        return empty
    gray = opencv().cvtColor(image, opencv().COLOR_RGB2GRAY)
    found, descriptors = _opencv_detector(options).detectAndCompute(gray, None)
    if descriptors is None or not len(found):
        return empty
    # OpenCV keeps more than asked for where responses are equal, in no promised order.
    facts = np.array([(*p.pt, p.response, p.size, p.angle) for p in found])
    order = np.lexsort((facts[:, 4], facts[:, 3], facts[:, 1], facts[:, 0], -facts[:, 2]))
    order = order[: options.max_keypoints]
    points = np.ascontiguousarray(facts[order, :2], dtype=np.float32)
    return Keypoints(points, descriptors[order].astype(np.uint8))


_DETECTORS = local()  # OpenCV's detectors are not to be shared by threads


def _opencv_detector(options: KeypointOptions) -> Any:  # noqa: ANN401 - see opencv
    cv2 = opencv()
    key = options.detector, options.max_keypoints
    if getattr(_DETECTORS, "key", None) != key:
        make: dict[Detector, Callable[[], Any]] = {
            Detector.sift: lambda: cv2.SIFT_create(nfeatures=options.max_keypoints),
            Detector.orb: lambda: cv2.ORB_create(nfeatures=options.max_keypoints),
            Detector.akaze: cv2.xfeatures2d.AKAZE_create,
        }
        _DETECTORS.key, _DETECTORS.detector = key, make[options.detector]()
    return _DETECTORS.detector


def _detect_all(
    options: KeypointOptions, images: Iterable[tuple[Key, RGB]]
) -> Iterator[tuple[Key, Vector]]:
    """Packed keypoints of a stream of images, several at a time, in the stream's order."""

    def packed(key: Key, image: RGB) -> tuple[Key, Vector]:
        return key, detect(image, options).pack()

    stream = iter(images)
    with one_opencv_thread(), ThreadPoolExecutor(cores(), "keypoints") as pool:
        under_way = deque(pool.submit(packed, *pair) for pair in islice(stream, _AHEAD * cores()))
        try:
            while under_way:
                done = under_way.popleft().result()
                under_way.extend(pool.submit(packed, *pair) for pair in islice(stream, 1))
                yield done
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
