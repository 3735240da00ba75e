"""JPEG XL, decoded by imagecodecs."""

from __future__ import annotations

import struct

import numpy as np

from outliers_bench.data.formats.composite import over_white
from outliers_bench.data.formats.depth import to_bytes
from outliers_bench.data.formats.extra import from_extra
from outliers_bench.data.formats.headers import Header
from outliers_bench.errors import UnreadableImageError, UnsupportedImageError
from outliers_bench.types import RGB

KINDS = ("JPEG XL",)
_DAMAGED = "is a damaged or cut-short JPEG XL"
_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))  # width to height


def read_header(data: bytes, kind: str) -> Header:
    """Read the size of an image as stored.

    Raises
    ------
    UnreadableImageError
        If the header is damaged or cut short.
    """
    bits = int.from_bytes(_codestream(data)[2:16], "little")

    def take(count: int) -> int:
        nonlocal bits
        value, bits = bits & (1 << count) - 1, bits >> count
        return value

    def size() -> int:
        return 8 * (take(5) + 1) if small else take((9, 13, 18, 30)[take(2)]) + 1

    small = bool(take(1))
    height, ratio = size(), take(3)
    if ratio:
        across, down = _RATIOS[ratio - 1]
        return Header(kind, height * across // down, height)
    return Header(kind, size(), height)


def decode(data: bytes, header: Header, side: int | None) -> RGB:  # noqa: ARG001 - JPEG only
    """Decode the first frame at full size, over white and upright.

    Raises
    ------
    UnsupportedImageError
        If imagecodecs is not installed.
    UnreadableImageError
        If the image is damaged or cut short.
    """
    codecs = from_extra("imagecodecs", "is a JPEG XL image")
    try:
        # Threads of its own would compete with those that decode other images.
        image = codecs.jpegxl_decode(data, index=0, numthreads=1)
    except (RuntimeError, ValueError, MemoryError):
        raise UnreadableImageError(_DAMAGED) from None
    if image.ndim == 2:
        image = image[..., None]
    channels = image.shape[2]
    if channels > 4:
        raise UnsupportedImageError(f"is a JPEG XL of {channels} channels, not supported")
    bits = 8 * image.itemsize
    colors = 1 if channels < 3 else 3
    alpha = None if channels == colors else image[..., colors:]
    color = image[..., :colors] if colors == 3 else image[..., 0]
    rgb = to_bytes(color, bits=bits)
    if colors == 1:
        rgb = np.repeat(rgb[..., None], 3, axis=2)
    if alpha is None:
        return rgb
    if alpha.dtype.kind == "f":
        alpha = np.rint(np.nan_to_num(alpha).clip(0, 1) * 255)
    return over_white(rgb, (alpha >> bits - 8 if bits == 16 else alpha).astype(np.uint8))


def _codestream(data: bytes) -> bytes:
    """Return the start of the codestream, which may be in a container of boxes."""
    if data.startswith(b"\xff\x0a"):
        return data[:16]
    at = 0
    while at + 8 <= len(data):
        size, name = struct.unpack_from(">I4s", data, at)
        start = at + 8
        if size == 1 and at + 16 <= len(data):
            (size,) = struct.unpack_from(">Q", data, start)
            start += 8
        if name in (b"jxlc", b"jxlp"):
            start += 4 * (name == b"jxlp")
            return data[start : start + 16]
        if size < 8:
            break
        at += size
    raise UnreadableImageError(_DAMAGED)
