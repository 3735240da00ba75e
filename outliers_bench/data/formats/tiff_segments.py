"""Strips and tiles of TIFF files: decompressed to samples."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from outliers_bench.data.formats.extra import from_extra
from outliers_bench.data.formats.jpeg_markers import check_scans, read_markers
from outliers_bench.data.formats.tiff_directory import Page
from outliers_bench.data.opencv import opencv
from outliers_bench.errors import UnreadableImageError, UnsupportedImageError

Samples = npt.NDArray[Any]
# Function of a segment as stored, the bytes of a row, and the number of rows.
_Unpack = Callable[[bytes, int, int], bytes]

_DAMAGED = "is a damaged or cut-short TIFF"
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_NONE, _LZW, _JPEG, _DEFLATE, _PACKBITS, _OLD_DEFLATE = 1, 5, 7, 8, 32773, 32946
_LZMA, _LERC, _ZSTD = 34925, 34887, 50000
_CCITT = (2, 3, 4)
_LONGEST_ROW = 2**20  # OpenCV decodes no wider image
_LIBTIFF_BYTES = 2**27  # nor one of more pixels
_MAX_PADDED = 2**28  # pixels with the padding of tiles: twice as many as an image may have
_MAX_SHARED = 2**28  # bytes of all strips as stored, which few programs let overlap
_MAX_BYTES = 2**31  # of a strip or tile, and of all channels that are needed


def read_samples(data: bytes, page: Page, channels: int) -> Samples:
    """Decompress the first channels of a page.

    Returns
    -------
    array, shape (height, width, channels)
        In the number type of the file.

    Raises
    ------
    UnsupportedImageError
        If the compression or the number type is not decoded here.
    UnreadableImageError
        If strips or tiles are damaged or missing.
    """
    _check(page)
    each = page.bits * (1 if page.is_planar else page.samples)
    largest = max(
        page.segment_width * page.segment_height * each,
        page.width * page.height * channels * page.bits,
    )
    if largest > 8 * _MAX_BYTES:
        size = f"{largest // 8:,} bytes"
        raise UnsupportedImageError(f"is a TIFF that needs {size} at once, not supported")
    across, down = (
        -(-page.width // page.segment_width),
        -(-page.height // page.segment_height),
    )
    padded = across * page.segment_width * down * page.segment_height
    if page.is_tiled and padded > _MAX_PADDED:
        raise UnsupportedImageError(f"is a TIFF of {padded:,} pixels in its tiles, not supported")
    planes = channels if page.is_planar else 1
    counts = page.counts
    if not counts and page.compression == _NONE:
        counts = tuple(len(data) - offset for offset in page.offsets)
    if min(len(page.offsets), len(counts)) < planes * across * down:
        raise UnreadableImageError(_DAMAGED)
    if sum(counts[: planes * across * down]) > max(_MAX_SHARED, 4 * len(data)):
        raise UnreadableImageError("is a TIFF whose strips or tiles overlap")
    image: Samples | None = None
    for number in range(planes * across * down):
        plane, place = divmod(number, across * down)
        top = place // across * page.segment_height
        left = place % across * page.segment_width
        # The last strip is shorter; tiles are padded.
        height = (
            page.segment_height if page.is_tiled else min(page.segment_height, page.height - top)
        )
        stored = data[page.offsets[number] : page.offsets[number] + counts[number]]
        if len(stored) < counts[number]:
            raise UnreadableImageError("is a TIFF cut short")
        part = _segment(stored, page, height)
        if image is None:
            image = np.empty((page.height, page.width, channels), part.dtype)
        into = image[top : top + height, left : left + page.segment_width]
        part = part[: into.shape[0], : into.shape[1]]
        if page.is_planar:
            into[..., plane] = part[..., 0]
        else:
            into[...] = part[..., :channels]
    if image is None:
        raise UnreadableImageError(_DAMAGED)
    return image


def _check(page: Page) -> None:
    if min(page.width, page.height, page.segment_width, page.segment_height, page.samples) < 1:
        raise UnreadableImageError(_DAMAGED)
    kinds = {1: (1, 2, 4, 8, 10, 12, 14, 16, 32, 64), 2: (8, 16, 32, 64), 3: (16, 32, 64)}
    if page.bits not in kinds.get(page.sample_format, ()):
        number = {1: "unsigned", 2: "signed", 3: "float"}.get(page.sample_format, "complex")
        raise UnsupportedImageError(f"is a TIFF of {page.bits}-bit {number} samples, not supported")
    if page.compression in (_JPEG, *_CCITT):
        bits = 8 if page.compression == _JPEG else 1
        if page.bits != bits or page.sample_format != 1:
            raise UnsupportedImageError(f"is a TIFF of {page.bits}-bit samples, not supported")
    elif page.compression not in (_NONE, _LZW, *_BYTES):
        name = _NAMES.get(page.compression, f"compression {page.compression}")
        raise UnsupportedImageError(f"is a TIFF compressed by {name}, which is not supported")


def _segment(stored: bytes, page: Page, height: int) -> Samples:
    """Return one strip or tile, shape (height, width, samples); one sample if planar."""
    width, samples = page.segment_width, 1 if page.is_planar else page.samples
    if page.compression == _JPEG:
        return _jpeg(stored, page, height)
    if page.reversed_bits:
        stored = stored.translate(_REVERSED)
    if page.compression in _CCITT:
        return _fax(stored, page, height)[..., None]
    row = -(-width * samples * page.bits // 8)
    decompressed = _BYTES[page.compression](stored, row, height)
    if len(decompressed) < row * height:
        raise UnreadableImageError(_DAMAGED)
    flat = np.frombuffer(decompressed, np.uint8, row * height)
    if page.predictor == 3:
        return _float_differences(flat, page.bits // 8, (height, width, samples))
    if page.bits in (8, 16, 32, 64):
        kind = page.order + {1: "u", 2: "i", 3: "f"}[page.sample_format] + str(page.bits // 8)
        numbers = flat.view(kind).reshape(height, width, samples)
        numbers = numbers.astype(numbers.dtype.newbyteorder("="), copy=False)
        if page.predictor == 2:
            whole = numbers.view(f"u{page.bits // 8}")
            return np.cumsum(whole, axis=1, dtype=whole.dtype).view(numbers.dtype)
        return numbers
    if page.predictor != 1:
        raise UnsupportedImageError(f"is a TIFF of {page.bits}-bit differences, not supported")
    each = np.unpackbits(flat.reshape(height, row), axis=1)[:, : width * samples * page.bits]
    numbers = np.zeros((height, width * samples), np.uint8 if page.bits <= 8 else np.uint16)
    for bit in range(page.bits):
        numbers = numbers << 1 | each[:, bit :: page.bits]
    return numbers.reshape(height, width, samples)


def _float_differences(flat: Samples, size: int, shape: tuple[int, int, int]) -> Samples:
    """Undo predictor 3: rows of all highest bytes, then all next ones, as differences."""
    height, width, samples = shape
    planes = flat.reshape(height, width * size, samples)
    planes = np.cumsum(planes, axis=1, dtype=np.uint8).reshape(height, size, width * samples)
    numbers = np.ascontiguousarray(planes.transpose(0, 2, 1)).view(f">f{size}")
    return numbers.astype(f"=f{size}").reshape(shape)


def _inflate(stored: bytes, row: int, height: int) -> bytes:
    stream = zlib.decompressobj()
    try:
        samples = stream.decompress(stored, row * height)
        # The checksum at the end; a last strip may be as long as the others.
        stream.decompress(stream.unconsumed_tail, row * height)
    except zlib.error:
        raise UnreadableImageError(_DAMAGED) from None
    return samples


def _unpack_lzma(stored: bytes, row: int, height: int) -> bytes:
    import lzma

    try:
        return lzma.LZMADecompressor().decompress(stored, row * height)
    except lzma.LZMAError:
        raise UnreadableImageError(_DAMAGED) from None


def _unpack_zstd(stored: bytes, row: int, height: int) -> bytes:
    codecs = from_extra("imagecodecs", "is a TIFF compressed by Zstandard")
    try:
        return bytes(codecs.zstd_decode(stored, out=row * height))
    except codecs.ZstdError:
        raise UnreadableImageError(_DAMAGED) from None


def _libtiff(compression: int) -> _Unpack:
    """Return a function that decompresses a segment by OpenCV's libtiff.

    The segment becomes the only strip of a file of 16-bit gray. OpenCV notices damage in these; for
    images of 8 bits, it returns zeros.
    """

    def unpack(stored: bytes, row: int, height: int) -> bytes:
        if row * height > _LIBTIFF_BYTES:
            size = f"{row * height:,} bytes"
            raise UnsupportedImageError(f"is a TIFF with strips of {size}, not supported")
        if row % 2 == 0:
            return _wrapped(stored, compression, (row // 2, height), 16).tobytes()
        # Of an odd number of bytes, the last remains unchecked; of very many, the last row.
        half = row * height // 2
        checked = (half, 1) if half <= _LONGEST_ROW else (row, height // 2)
        even = _wrapped(stored, compression, checked, 16).tobytes() if min(checked) else b""
        if len(even) == row * height:
            return even
        return even + _wrapped(stored, compression, (row, height), 8).tobytes()[len(even) :]

    return unpack


def _wrapped(
    stored: bytes, compression: int, size: tuple[int, int], bits: int, *, t4_options: int = 0
) -> Samples:
    """Decode a segment as the only strip of a gray image of a width and a height."""
    tags = {256: size[0], 257: size[1], 258: bits, 259: compression, 262: 1, 273: 8, 277: 1}
    tags |= {278: size[1], 279: len(stored), 292: t4_options}
    body = stored + bytes(len(stored) % 2)
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    start = struct.pack("<4sI", b"II*\0", 8 + len(body))
    file = start + body + struct.pack("<H", len(tags)) + entries + bytes(4)
    cv2 = opencv()
    try:
        image: Samples | None = cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_UNCHANGED)
    except (cv2.error, MemoryError):
        image = None
    if image is None:
        raise UnreadableImageError(_DAMAGED)
    return image


def _fax(stored: bytes, page: Page, height: int) -> Samples:
    """Decode black and white of a fax; 1 is what the file calls 1."""
    width = page.segment_width
    image = _wrapped(stored, page.compression, (width, height), 1, t4_options=page.t4_options)
    return (image > 0).astype(np.uint8)


def _jpeg(stored: bytes, page: Page, height: int) -> Samples:
    import simplejpeg

    # The transform that an Adobe marker states decides whether colors are converted.
    samples = 1 if page.is_planar else page.samples
    transform = 1 if page.photometric == 6 else 0
    marker = b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0" + bytes([transform])
    space = {1: "Gray", 3: "RGB", 4: "CMYK"}.get(samples)
    if space is None:
        raise UnsupportedImageError(f"is a TIFF of JPEGs with {samples} samples, not supported")
    file = b"\xff\xd8" + marker + page.jpeg_tables[2:-2] + stored[2:]
    try:
        if simplejpeg.decode_jpeg_header(file)[:2] != (height, page.segment_width):
            raise UnreadableImageError(_DAMAGED)
        check_scans(file, read_markers(file))
        image: Samples = simplejpeg.decode_jpeg(file, colorspace=space, strict=True)
    except (ValueError, struct.error, IndexError):
        raise UnreadableImageError(_DAMAGED) from None
    return image


def _plain(stored: bytes, row: int, height: int) -> bytes:
    return stored[: row * height]


_BYTES: dict[int, _Unpack] = {
    _NONE: _plain,
    _LZW: _libtiff(_LZW),
    _PACKBITS: _libtiff(_PACKBITS),
    _DEFLATE: _inflate,
    _OLD_DEFLATE: _inflate,
    _LZMA: _unpack_lzma,
    _ZSTD: _unpack_zstd,
}
_NAMES = {
    6: "JPEG of an old kind",
    _LERC: "LERC",
    50001: "WebP",
    34712: "JPEG 2000",
    50002: "JPEG XL",
}
_NAMES |= {33003: "JPEG 2000", 33005: "JPEG 2000", 34676: "LogLuv", 34677: "LogLuv", 34933: "PNG"}
