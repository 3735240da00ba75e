"""PNG: only what the pixels need reaches the decoder, and only if its checksums are right."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from outliers_bench.data.formats import opencv_formats
from outliers_bench.data.formats.composite import orientation_of, upright
from outliers_bench.data.formats.headers import Header
from outliers_bench.errors import UnreadableImageError, UnsupportedImageError
from outliers_bench.types import RGB

_PIXELS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")


def decode(data: bytes, header: Header, side: int | None) -> RGB:
    """Decode a PNG, the first picture of an animated one, at full size, over white and upright.

    libpng prints a line about each wrong checksum and about many other chunks, such as texts and
    color profiles.

    Raises
    ------
    UnsupportedImageError
        If the file has a chunk that the pixels depend on and that is not known.
    UnreadableImageError
        If the image is damaged or cut short.
    """
    needed, exif = [data[:8]], b""
    for kind, chunk in _chunks(data):
        is_right = zlib.crc32(chunk[4:-4]).to_bytes(4, "big") == chunk[-4:]
        matters = kind in _PIXELS or not kind[0] & 0x20  # a capital: pixels depend on it
        if matters and not is_right:
            raise UnreadableImageError("is a damaged PNG (wrong checksum)")
        if kind in _PIXELS:
            needed.append(bytes(chunk))
        elif kind == b"eXIf" and is_right:
            exif = bytes(chunk[8:-4])
        elif matters:
            raise UnsupportedImageError(
                f"is a PNG of a rare kind (with a chunk {kind.decode('latin-1')!r}); convert it"
            )
    image = opencv_formats.decode(b"".join(needed), header, side)
    return upright(image, orientation_of(exif)) if exif else image


def _chunks(data: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """Yield name and contents, length and checksum included, of the chunks of a complete file."""
    view, at, kind = memoryview(data), 8, b""
    while kind != b"IEND":
        length, kind = struct.unpack_from(">I4s", data, at)
        yield kind, view[at : at + 12 + length]
        at += 12 + length
