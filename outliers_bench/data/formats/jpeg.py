"""JPEG, decoded at full or reduced size."""

from __future__ import annotations

import numpy as np

from outliers_bench.data.formats.headers import Header
from outliers_bench.data.opencv import opencv
from outliers_bench.errors import UnreadableImageError
from outliers_bench.types import RGB


def decode(data: bytes, header: Header, side: int | None) -> RGB:
    """Decode a JPEG upright; see `decode.decode` for `side`.

    Raises
    ------
    UnreadableImageError
        If the image is damaged or cut short.
    """
    cv2 = opencv()
    flags = cv2.IMREAD_COLOR_RGB
    for scale in (8, 4, 2):
        # Sizes that do not divide evenly are rounded up, which would shift the content.
        divides = header.width % scale == header.height % scale == 0
        if side is not None and divides and min(header.width, header.height) >= side * scale:
            # IMREAD_REDUCED_COLOR implies BGR; the gray flag can be combined with RGB.
            flags |= getattr(cv2, f"IMREAD_REDUCED_GRAYSCALE_{scale}")
            break
    try:
        image: RGB | None = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), flags)
    except (cv2.error, MemoryError):
        image = None
    if image is None:
        raise UnreadableImageError("is a damaged or cut-short JPEG")
    return image
