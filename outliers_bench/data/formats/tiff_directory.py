"""Directories of TIFF and BigTIFF files: which page is the picture, and how it is stored."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

from outliers_bench.errors import UnreadableImageError, UnsupportedImageError

Tags = dict[int, tuple[int, ...] | bytes]

# Types of the values in a directory, by number: bytes and text, unsigned, signed, offsets. No tag
# that is needed has fractions or floats.
_TYPES = {1: "B", 2: "S", 3: "H", 4: "I", 6: "b", 7: "S", 8: "h", 9: "i"}
_TYPES |= {13: "I", 16: "Q", 17: "q", 18: "Q"}

_SUBFILE, _OLD_SUBFILE, _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = (
    *(254, 255, 256, 257, 258, 259, 262),
)
_FILL_ORDER, _MAKE, _OFFSETS, _ORIENTATION, _SAMPLES, _ROWS, _COUNTS = (
    *(266, 271, 273, 274, 277, 278, 279),
)
_PLANAR, _T4_OPTIONS, _PREDICTOR, _COLOR_MAP, _TILE_WIDTH, _TILE_HEIGHT = (
    *(284, 292, 317, 320, 322, 323),
)
_TILE_OFFSETS, _TILE_COUNTS, _SUB_DIRECTORIES, _EXTRA, _SAMPLE_FORMAT = (
    *(324, 325, 330, 338, 339),
)
_JPEG_TABLES, _PROFILE, _NODATA, _DNG = 347, 34675, 42113, 50706
_NEEDED = frozenset(
    (
        *(_SUBFILE, _OLD_SUBFILE, _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC),
        *(_FILL_ORDER, _MAKE, _OFFSETS, _ORIENTATION, _SAMPLES, _ROWS, _COUNTS),
        *(_PLANAR, _T4_OPTIONS, _PREDICTOR, _COLOR_MAP, _TILE_WIDTH, _TILE_HEIGHT),
        *(_TILE_OFFSETS, _TILE_COUNTS, _SUB_DIRECTORIES, _EXTRA, _SAMPLE_FORMAT),
        *(_JPEG_TABLES, _PROFILE, _NODATA, _DNG),
    )
)
_MAX_PAGES = 100  # that are looked at for the first full one
MAX_VALUES = 2**18  # of a tag, such as strips; color maps of 16 bits have three quarters of it
_SENSOR_COLORS = (32803, 34892)  # color filter array, linear raw


@dataclass(frozen=True)
class Page:
    """One picture of a TIFF file; names and numbers as in the TIFF 6 specification."""

    order: str  # `<` or `>`
    width: int
    height: int
    bits: int  # per sample
    sample_format: int  # 1 unsigned, 2 signed, 3 float
    samples: int  # per pixel
    extra: tuple[int, ...]  # meaning of the last samples: 0 none, 1 premultiplied alpha, 2 alpha
    photometric: int
    compression: int
    predictor: int
    is_planar: bool
    reversed_bits: bool
    orientation: int
    segment_width: int
    segment_height: int
    offsets: tuple[int, ...]
    counts: tuple[int, ...]
    is_tiled: bool = False
    color_map: tuple[int, ...] = ()
    jpeg_tables: bytes = b""
    t4_options: int = 0
    profile: bytes = b""
    nodata: float | None = None


def read_page(data: bytes) -> Page:
    """Return the first page that is neither a reduced copy of another nor a mask.

    Raises
    ------
    UnsupportedImageError
        If the file is a camera's raw file, which has small previews as pages, or if the samples of
        a pixel are of several sizes.
    UnreadableImageError
        If it has no picture.
    struct.error, IndexError
        If the directory is cut short.
    """
    order = "<" if data.startswith(b"II") else ">"
    big = data[2:4] in (b"+\0", b"\0+")
    (start,) = struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)
    first: Tags | None = None
    chosen: Tags | None = None
    seen: set[int] = set()
    while start and start not in seen and len(seen) < _MAX_PAGES:
        seen.add(start)
        try:
            tags, start = _directory(data, start, order, big=big)
        except (struct.error, IndexError):
            if first is None:
                raise
            break  # later pages are cut off
        first = first or tags
        if not _is_reduced(tags):
            chosen = tags
            break
    if first is None:
        raise UnreadableImageError("is a TIFF without a picture in it")
    _check_raw(data, first, order, big=big)
    return _page(chosen or first, order)


def _is_reduced(tags: Tags) -> bool:
    return bool(_one(tags, _SUBFILE, 0) & 5) or _one(tags, _OLD_SUBFILE, 1) == 2


def _check_raw(data: bytes, first: Tags, order: str, *, big: bool) -> None:
    """Refuse the raw files of cameras; the first page of most is a thumbnail."""
    colors = [_one(first, _PHOTOMETRIC, 0)]
    if _MAKE in first:
        for start in first.get(_SUB_DIRECTORIES, ())[:_MAX_PAGES]:
            try:
                tags, _ = _directory(data, start, order, big=big)
            except (struct.error, IndexError):
                continue
            colors.append(_one(tags, _PHOTOMETRIC, 0))
    reduced = _MAKE in first and _SUB_DIRECTORIES in first and _is_reduced(first)
    if _DNG in first or reduced or any(color in _SENSOR_COLORS for color in colors):
        raise UnsupportedImageError("is raw data of a camera, which is not supported")


def _page(tags: Tags, order: str) -> Page:
    width, height = _one(tags, _WIDTH, 0), _one(tags, _HEIGHT, 0)
    samples = _one(tags, _SAMPLES, 1)
    bits = _all(tags, _BITS) or (1,)
    formats = _all(tags, _SAMPLE_FORMAT) or (1,)
    if len(set(bits[:samples])) > 1 or len(set(formats[:samples])) > 1:
        raise UnsupportedImageError("is a TIFF with samples of several sizes, not supported")
    tiled = _TILE_WIDTH in tags
    rows = min(_one(tags, _ROWS, height), height)
    offsets = _all(tags, _TILE_OFFSETS) if tiled and _TILE_OFFSETS in tags else _all(tags, _OFFSETS)
    counts = _all(tags, _TILE_COUNTS) if tiled and _TILE_COUNTS in tags else _all(tags, _COUNTS)
    nodata = tags.get(_NODATA)
    return Page(
        order=order,
        width=width,
        height=height,
        bits=bits[0],
        # 4 is "undefined", which is read as unsigned.
        sample_format=1 if formats[0] == 4 else formats[0],
        samples=samples,
        extra=_all(tags, _EXTRA),
        photometric=_one(tags, _PHOTOMETRIC, 1),
        compression=_one(tags, _COMPRESSION, 1),
        predictor=_one(tags, _PREDICTOR, 1),
        is_planar=_one(tags, _PLANAR, 1) == 2 and samples > 1,
        reversed_bits=_one(tags, _FILL_ORDER, 1) == 2,
        orientation=_one(tags, _ORIENTATION, 1),
        segment_width=_one(tags, _TILE_WIDTH, 0) if tiled else width,
        segment_height=_one(tags, _TILE_HEIGHT, 0) if tiled else rows,
        offsets=offsets,
        counts=counts,
        is_tiled=tiled,
        color_map=_all(tags, _COLOR_MAP),
        jpeg_tables=_bytes(tags, _JPEG_TABLES),
        t4_options=_one(tags, _T4_OPTIONS, 0),
        profile=_bytes(tags, _PROFILE),
        nodata=_number(nodata) if isinstance(nodata, bytes) else None,
    )


def _directory(data: bytes, start: int, order: str, *, big: bool) -> tuple[Tags, int]:
    """Return the tags of a directory, and where the next one starts; 0 after the last."""
    if start > len(data):
        raise IndexError
    (count,) = struct.unpack_from(order + ("Q" if big else "H"), data, start)
    size, inline = (20, 8) if big else (12, 4)
    at = start + (8 if big else 2)
    if at + count * size > len(data):
        raise IndexError
    tags: Tags = {}
    for entry in range(at, at + count * size, size):
        tag, kind, n = struct.unpack_from(order + ("HHQ" if big else "HHI"), data, entry)
        code = _TYPES.get(kind)
        if code is None or tag not in _NEEDED or tag in tags:
            continue
        width = 1 if code == "S" else struct.calcsize(code)
        where = entry + size - inline
        if n > MAX_VALUES and code not in "BS":
            raise UnsupportedImageError(f"is a TIFF with a tag of {n:,} values, not supported")
        if n * width > inline:
            (where,) = struct.unpack_from(order + ("Q" if big else "I"), data, where)
            if where + n * width > len(data):
                raise IndexError
        if code == "S":
            tags[tag] = data[where : where + n]
        else:
            tags[tag] = tuple(np.frombuffer(data, order + _NUMPY[code], n, where).tolist())
    after = at + count * size
    try:
        (following,) = struct.unpack_from(order + ("Q" if big else "I"), data, after)
    except struct.error:
        following = 0
    return tags, following


_NUMPY = {"B": "u1", "H": "u2", "I": "u4", "Q": "u8", "b": "i1", "h": "i2", "i": "i4", "q": "i8"}


def _all(tags: Tags, tag: int) -> tuple[int, ...]:
    return tuple(tags.get(tag, ()))


def _one(tags: Tags, tag: int, default: int) -> int:
    values = tags.get(tag)
    return values[0] if values else default


def _bytes(tags: Tags, tag: int) -> bytes:
    values = tags.get(tag, b"")
    return values if isinstance(values, bytes) else bytes(value & 255 for value in values)


def _number(text: bytes) -> float | None:
    try:
        return float(text.rstrip(b"\0 "))
    except ValueError:
        return None
