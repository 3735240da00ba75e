"""JPEG 2000, decoded by OpenCV; Pillow makes the brightest samples of more than 8 bits black."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from outliers_bench.data.formats.color import to_srgb
from outliers_bench.data.formats.composite import over_white
from outliers_bench.data.formats.depth import Samples, to_bytes
from outliers_bench.data.formats.headers import Header
from outliers_bench.data.opencv import opencv
from outliers_bench.errors import UnreadableImageError, UnsupportedImageError
from outliers_bench.types import RGB

KINDS = ("JPEG 2000",)
_DAMAGED = "is a damaged or cut-short JPEG 2000"
_CODESTREAM = b"\xff\x4f\xff\x51"
_END = b"\xff\xd9"
_MAX_BOXES = 10_000
_TILE = 0xFF90  # marker of a part of a tile


class _Size(NamedTuple):
    """Size segment at the start of the codestream."""

    width: int
    height: int
    bits: tuple[int, ...]  # per channel
    is_signed: bool
    is_even: bool  # no channel subsampled, no offset


def read_header(data: bytes, kind: str) -> Header:
    """Read the size of an image.

    Raises
    ------
    UnreadableImageError
        If the header is damaged or the file is cut short.
    """
    size = _size(_codestream(data))
    return Header(kind, size.width, size.height, bits=size.bits[0])


def decode(data: bytes, header: Header, side: int | None) -> RGB:  # noqa: ARG001 - JPEG only
    """Decode an image at full size, over white where a channel is declared as alpha.

    Raises
    ------
    UnsupportedImageError
        If channels are signed, subsampled, of several depths, two, or more than four.
    UnreadableImageError
        If the image is damaged or cut short.
    """
    stream = _codestream(data)
    size = _size(stream)
    _check_tiles(stream)
    plain = size.is_even and not size.is_signed and len(set(size.bits)) == 1
    if not (plain and len(size.bits) in (1, 3, 4) and header.bits <= 16 and _is_rgb(data)):
        raise UnsupportedImageError("is a JPEG 2000 of a variant that is not supported")
    cv2 = opencv()
    try:
        image: Samples | None = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except (cv2.error, MemoryError):
        image = None
    if image is None:
        raise UnreadableImageError(_DAMAGED)
    image = image[..., None] if image.ndim == 2 else image
    color = image[..., 2::-1] if image.shape[2] > 1 else image[..., 0]
    alpha = image[..., 3:]
    color = to_bytes(color, bits=header.bits)
    rgb = np.repeat(color[..., None], 3, axis=2) if color.ndim == 2 else np.ascontiguousarray(color)
    if header.bits <= 8 or image.shape[2] > 1:  # what is stretched to its own range has no color
        rgb = to_srgb(rgb, _profile(data))
    if not alpha.size or not _has_alpha(data):
        return rgb
    high = max(0, header.bits - 8)
    return over_white(rgb, (alpha >> high).astype(np.uint8))


def _is_rgb(data: bytes) -> bool:
    """Check that colors are red, green, blue, or gray, without a palette."""
    boxes = list(_boxes(data)) if not data.startswith(_CODESTREAM) else []
    colors = (body for name, body in boxes if name == b"colr" and len(body) >= 7)
    models = [struct.unpack_from(">B2xI", body) for body in colors]
    known = not models or any(method != 1 or model in (16, 17) for method, model in models)
    return known and all(name != b"pclr" for name, _ in boxes)


def _profile(data: bytes) -> bytes:
    """Return the ICC profile; empty without one."""
    boxes = () if data.startswith(_CODESTREAM) else _boxes(data)
    return next((body[3:] for name, body in boxes if name == b"colr" and body[:1] == b"\2"), b"")


def _has_alpha(data: bytes) -> bool:
    """Check whether a channel is declared as alpha; without a declaration, it is another color."""
    # Number of the channel, type (1 or 2 is opacity), and the color it belongs to.
    definitions = b"".join(body for name, body in _boxes(data) if name == b"cdef")[2:]
    whole = definitions[: len(definitions) // 6 * 6]
    return any(kind in (1, 2) for _, kind, _ in struct.iter_unpack(">HHH", whole))


def _boxes(data: bytes, *, nested: bool = False) -> Iterator[tuple[bytes, bytes]]:
    """Yield the name and the content of the boxes of a file, and of those in its header box."""
    at, end = 0, len(data)
    for _ in range(_MAX_BOXES):
        if at + 8 > end:
            return
        size, name = struct.unpack_from(">I4s", data, at)
        start = at + 8
        if size == 1 and at + 16 <= end:
            (size,) = struct.unpack_from(">Q", data, start)
            start += 8
        size = size or end - at  # to the end of the file
        if at + size > len(data) or size < start - at:
            raise UnreadableImageError(_DAMAGED)
        if name == b"jp2h" and not nested:
            yield from _boxes(data[start : at + size], nested=True)
        else:
            yield name, data[start : at + size]
        at += size
    raise UnreadableImageError(f"is a JPEG 2000 with more than {_MAX_BOXES:,} boxes")


def _codestream(data: bytes) -> bytes:
    stream = data
    if not data.startswith(_CODESTREAM):
        stream = next((body for name, body in _boxes(data) if name == b"jp2c"), b"")
    if not stream.startswith(_CODESTREAM) or _END not in stream[-64:]:
        raise UnreadableImageError(_DAMAGED)
    return stream


def _check_tiles(stream: bytes) -> None:
    """Check that all tiles are there; OpenCV makes those that are missing black."""
    right, bottom = struct.unpack_from(">II", stream, 8)
    width, height, left, top = struct.unpack_from(">IIII", stream, 24)
    at, tiles = 2, set()
    try:
        while stream[at : at + 2] != _END:
            marker, length = struct.unpack_from(">HH", stream, at)
            length += 2
            if marker == _TILE:
                tile, length = struct.unpack_from(">HI", stream, at + 4)
                tiles.add(tile)
                if length == 0:  # the last, up to the end
                    break
            at += max(length, 2)
        count = -(-(right - left) // width) * -(-(bottom - top) // height)
    except (struct.error, ZeroDivisionError):
        raise UnreadableImageError(_DAMAGED) from None
    if len(tiles) < count:
        raise UnreadableImageError(_DAMAGED)


def _size(stream: bytes) -> _Size:
    try:
        _, _, right, bottom, left, top = struct.unpack_from(">HHIIII", stream, 4)
        (channels,) = struct.unpack_from(">H", stream, 40)
        parts = [struct.unpack_from(">BBB", stream, 42 + 3 * i) for i in range(channels)]
    except struct.error:
        raise UnreadableImageError(_DAMAGED) from None
    if not parts or right <= left or bottom <= top:
        raise UnreadableImageError(_DAMAGED)
    return _Size(
        width=right - left,
        height=bottom - top,
        bits=tuple((depth & 127) + 1 for depth, _, _ in parts),
        is_signed=any(depth & 128 for depth, _, _ in parts),
        is_even=left == top == 0 and all(step == [1, 1] for _, *step in parts),
    )
