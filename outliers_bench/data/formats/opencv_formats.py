"""PNG, WebP, GIF and BMP, decoded by OpenCV."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from outliers_bench.data.formats.color import to_srgb
from outliers_bench.data.formats.composite import orientation_of, over_white, upright
from outliers_bench.data.formats.depth import to_bytes
from outliers_bench.data.formats.headers import Header
from outliers_bench.data.opencv import opencv
from outliers_bench.errors import UnreadableImageError
from outliers_bench.types import RGB


def decode(data: bytes, header: Header, side: int | None) -> RGB:  # noqa: ARG001 - JPEG only
    """Decode an image at full size, over white and upright.

    Raises
    ------
    UnreadableImageError
        If the image is damaged or cut short.
    """
    buffer = np.frombuffer(data, dtype=np.uint8)
    cv2 = opencv()
    try:
        whole = header.alpha or header.bits > 8
        image = _over_white(buffer, header) if whole else _in_color(buffer)
    except (cv2.error, MemoryError):
        image = None
    if image is None:
        raise UnreadableImageError(f"is a damaged or cut-short {header.format}")
    return to_srgb(image, header.profile)


def _in_color(buffer: npt.NDArray[np.uint8]) -> RGB | None:
    cv2 = opencv()
    return cv2.imdecode(buffer, cv2.IMREAD_COLOR_RGB)  # type: ignore[no-any-return]


def _over_white(buffer: npt.NDArray[np.uint8], header: Header) -> RGB | None:
    """Decode all bits and alpha; composite over white. OpenCV ignores orientation in this mode."""
    cv2 = opencv()
    image, kinds, blocks = cv2.imdecodeWithMetadata(buffer, flags=cv2.IMREAD_UNCHANGED)
    if image is None:
        return None
    if image.ndim == 2 and header.transparent_gray is not None:
        scale = 255 // (2**header.bits - 1) if header.bits < 8 else 1
        opaque = image != header.transparent_gray * scale
        largest = image.dtype.type(np.iinfo(image.dtype).max)
        image = np.dstack([image] * 3 + [opaque.astype(image.dtype) * largest])
    channels = 1 if image.ndim == 2 else image.shape[2]
    if image.dtype == np.uint8 and channels != 4:
        return _in_color(buffer)
    color = image[..., 2::-1] if channels > 1 else image
    alpha = image[..., 3:] if channels == 4 else None
    if image.dtype == np.uint16:
        if alpha is not None:
            alpha = (alpha >> 8).astype(np.uint8)
        if channels == 4 and np.array_equal(color[..., :2], color[..., 1:]):  # gray with alpha
            color = color[..., 0]
        color = to_bytes(color, bits=16, valid=None if alpha is None else alpha[..., 0] > 0)
    rgb = np.repeat(color[..., None], 3, axis=2) if color.ndim == 2 else color
    rgb = rgb if alpha is None else over_white(rgb, alpha)
    exif = [
        bytes(block)
        for kind, block in zip(kinds, blocks, strict=True)
        if kind == cv2.IMAGE_METADATA_EXIF
    ]
    return upright(rgb, orientation_of(exif[0]) if exif else 1)
