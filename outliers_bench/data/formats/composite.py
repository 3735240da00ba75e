"""Steps after decoding that several formats share: transparency, orientation."""

from __future__ import annotations

import struct

import numpy as np
import numpy.typing as npt

from outliers_bench.data.formats.headers import read_tags
from outliers_bench.types import RGB

_BLOCK = 2**20  # pixels that are composited at once, in integers of 32 bits


def over_white(
    rgb: npt.NDArray[np.uint8], alpha: npt.NDArray[np.uint8], *, premultiplied: bool = False
) -> RGB:
    """Composite an image over white.

    Parameters
    ----------
    rgb : array of uint8, shape (height, width, 3)
    alpha : array of uint8, shape (height, width, 1)
        Opacity; 0 is transparent.
    premultiplied : bool
        Whether the colors are already multiplied by alpha.

    Returns
    -------
    array of uint8, shape (height, width, 3)
    """
    if alpha.min(initial=255) == 255:
        return rgb
    white = np.empty(rgb.shape, np.uint8)
    rows = max(1, _BLOCK // max(1, rgb.shape[1]))
    for start in range(0, len(rgb), rows):
        block = slice(start, start + rows)
        weight = alpha[block].astype(np.uint32)
        foreground = rgb[block].astype(np.uint32) * (255 if premultiplied else weight)
        white[block] = ((foreground + 255 * (255 - weight) + 127) // 255).clip(max=255)
    return white


def orientation_of(exif: bytes) -> int:
    """Return the EXIF orientation, 1 to 8; 1 if there is none or the data are damaged."""
    try:
        orientation = read_tags(exif.removeprefix(b"Exif\0\0")).get(0x112, 1)
    except struct.error:
        return 1
    return orientation if 1 <= orientation <= 8 else 1


def upright(image: RGB, orientation: int) -> RGB:
    """Undo an EXIF orientation: 1 upright, 2-4 mirrored or half-turned, 5-8 on their side."""
    if orientation in (5, 6, 7, 8):
        image = image.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    return np.ascontiguousarray(image)
