"""Synthetic photos with detail at every scale, and edits of photos."""

from __future__ import annotations

import cv2
import numpy as np

from outliers_bench.data.content_hash import content_hash
from outliers_bench.types import RGB, ImageSet
from tests.toys import ArrayReader


def make_photo(seed: int, *, height: int = 150, width: int = 200) -> RGB:
    """Return noise of many scales, strongest at the largest, as in photos."""
    random = np.random.default_rng(seed)
    pixels = np.zeros((height, width, 3), np.float32)
    for cells in (2, 4, 8, 16, 32, 64):
        grain = random.standard_normal((cells, cells, 3)).astype(np.float32)
        pixels += cv2.resize(grain, (width, height), interpolation=cv2.INTER_CUBIC) / cells**0.7
    pixels -= pixels.min()
    return (255 * pixels / pixels.max()).astype(np.uint8)


def crop_sides(image: RGB, share: float) -> RGB:
    height, width = image.shape[:2]
    y, x = round(height * share), round(width * share)
    return np.ascontiguousarray(image[y : height - y, x : width - x])


def rescale(image: RGB, scale: float) -> RGB:
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return cv2.resize(image, None, fx=scale, fy=scale, interpolation=interpolation)


def encode_jpeg(image: RGB, quality: int) -> RGB:
    _, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.ascontiguousarray(cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1])


def brighten(image: RGB, factor: float, offset: float) -> RGB:
    return np.clip(image.astype(np.float32) * factor + offset, 0, 255).astype(np.uint8)


def make_image_set(arrays: dict[str, RGB], labels: list[int] | None = None) -> ImageSet:
    """Return an image set of arrays, with digests of their bytes."""
    return ImageSet(
        names=tuple(arrays),
        digests=tuple(content_hash(image.tobytes()).digest() for image in arrays.values()),
        labels=None if labels is None else np.array(labels, np.int64),
        classes=("a", "b", "c"),
        reader=ArrayReader(arrays),
    )
