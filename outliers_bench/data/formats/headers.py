"""Headers of image files, read before decoding: format, size, transparency, truncation.

OpenCV has no call for this, decodes some truncated files, and lets libpng print to standard error.
Reading a few bytes here solves all three cheaply.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

from outliers_bench.data.formats.jpeg_markers import Markers, has_one_scan, read_markers
from outliers_bench.data.formats.kinds import HEAD, kind_of
from outliers_bench.data.formats.tiff_directory import read_page
from outliers_bench.errors import UnreadableImageError, UnsupportedImageError

MAX_PROFILE = 2**22  # bytes of a color profile in a PNG


@dataclass(frozen=True)
class Header:
    """Header of an image file."""

    format: str  # `JPEG`, `PNG`, `WebP`, `BMP`, `GIF`, or `TIFF`, detected from the content
    width: int  # pixels as stored, before EXIF orientation
    height: int
    alpha: bool = False  # whether some pixels may be transparent
    transparent_gray: int | None = None  # at the file's bit depth (grayscale PNG only)
    bits: int = 8  # per sample; set for PNG and JPEG
    exif: bytes = field(default=b"", repr=False)  # set for JPEG
    profile: bytes = field(default=b"", repr=False)  # ICC; set for JPEG, PNG and WebP
    pixel_bytes: int = 20  # memory that a pixel takes while it is decoded, at most


def read_header(data: bytes) -> Header:
    """Detect the format from the content and read the header.

    Raises
    ------
    UnsupportedImageError
        If the format is known but not decoded.
    UnreadableImageError
        If the bytes are not an image or end before the image does.
    """
    if not data:
        raise UnreadableImageError("is empty")
    kind = kind_of(data[:HEAD])
    if kind is None:
        raise UnreadableImageError("is not an image of a known format")
    if kind not in _READERS:
        raise UnsupportedImageError(f"{kind} is not supported; convert it to JPEG")
    try:
        return _READERS[kind](data)
    except (struct.error, IndexError):
        raise UnreadableImageError(f"is a {kind} cut short") from None


def _jpeg(data: bytes) -> Header:
    markers = read_markers(data)
    return Header(
        "JPEG",
        markers.width,
        markers.height,
        bits=markers.bits,
        exif=markers.exif,
        profile=markers.profile,
        pixel_bytes=_jpeg_pixel_bytes(markers),
    )


def _jpeg_pixel_bytes(markers: Markers) -> int:
    colors = len(markers.components)
    pixels = 3 if colors < 4 else 12
    # With several scans, all coefficients stay in memory.
    return pixels if has_one_scan(markers) else pixels + 2 * colors


def _png(data: bytes) -> Header:
    if data[12:16] == b"CgBI":
        raise UnsupportedImageError("is a PNG for iPhone apps, not supported; convert it")
    width, height, bits, color = struct.unpack_from(">IIBB", data, 16)
    alpha, gray, profile = color in (4, 6), None, b""
    at = 8
    while True:
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if end > len(data):
            raise UnreadableImageError("is a PNG cut short")
        if kind == b"tRNS":
            alpha = True
            if color == 0:
                (gray,) = struct.unpack_from(">H", data, at + 8)
        elif kind == b"iCCP" and (bits <= 8 or color not in (0, 4)):  # not of stretched gray
            profile = _inflated(data[at + 8 : end - 4])
        elif kind == b"IEND":
            each = 28 if bits == 16 else 16 if alpha else 6
            return Header(
                "PNG", width, height, alpha, gray, bits, profile=profile, pixel_bytes=each
            )
        at = end


def _inflated(chunk: bytes) -> bytes:
    """Return the profile in a chunk `iCCP`: name, zero, zero, deflated; empty if damaged."""
    try:
        return zlib.decompressobj().decompress(chunk.partition(b"\0")[2][1:], MAX_PROFILE)
    except zlib.error:
        return b""


def _webp(data: bytes) -> Header:
    size, kind = struct.unpack_from("<I4x4s", data, 4)
    if size + 8 > len(data):
        raise UnreadableImageError("is a WebP cut short")
    if kind == b"VP8X":
        alpha = bool(data[20] & 0x10)
        width = int.from_bytes(data[24:27], "little") + 1
        height = int.from_bytes(data[27:30], "little") + 1
        profile, at = b"", 30
        if data[20] & 0x20 and data[at : at + 4] == b"ICCP":  # always the first
            (length,) = struct.unpack_from("<I", data, at + 4)
            profile = data[at + 8 : at + 8 + length]
        return Header("WebP", width, height, alpha, profile=profile)
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        return Header("WebP", width, height, bool(bits >> 28 & 1))
    width, height = struct.unpack_from("<HH", data, 26)
    return Header("WebP", width & 0x3FFF, height & 0x3FFF)


def _gif(data: bytes) -> Header:
    width, height = struct.unpack_from("<HH", data, 6)
    # Transparency is declared per frame, and decoding with alpha costs no more.
    return Header("GIF", width, height, alpha=True)


def _bmp(data: bytes) -> Header:
    (size,) = struct.unpack_from("<I", data, 14)
    width, height = struct.unpack_from("<HH" if size == 12 else "<ii", data, 18)
    return Header("BMP", abs(width), abs(height))


def _tiff(data: bytes) -> Header:
    page = read_page(data)
    # As stored, as an array, and copies for the range of a stretch; a packed bit becomes a byte.
    is_packed = page.bits not in (8, 16, 32, 64)
    each = page.samples * page.bits * (3 if is_packed else 0.5)
    return Header("TIFF", page.width, page.height, pixel_bytes=16 + int(each))


_READERS: dict[str, Callable[[bytes], Header]] = {
    "JPEG": _jpeg,
    "PNG": _png,
    "WebP": _webp,
    "GIF": _gif,
    "BMP": _bmp,
    "TIFF": _tiff,
}


def read_tags(data: bytes) -> dict[int, int]:
    """Return the first value of each SHORT or LONG tag in the first directory of TIFF or EXIF."""
    order = "<" if data.startswith(b"II") else ">"
    (start,) = struct.unpack_from(order + "I", data, 4)
    (count,) = struct.unpack_from(order + "H", data, start)
    tags = {}
    for entry in range(start + 2, start + 2 + 12 * count, 12):
        tag, kind = struct.unpack_from(order + "HH", data, entry)
        if kind in (3, 4):
            (tags[tag],) = struct.unpack_from(order + ("H" if kind == 3 else "I"), data, entry + 8)
    return tags
