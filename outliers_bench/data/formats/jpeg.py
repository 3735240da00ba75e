"""JPEG, decoded at full or reduced size by libjpeg-turbo, whose warnings tell damage."""

from __future__ import annotations

import re
from io import BytesIO

import numpy as np
import numpy.typing as npt

from outliers_bench.data.formats.color import cmyk_to_srgb, to_srgb
from outliers_bench.data.formats.composite import orientation_of, upright
from outliers_bench.data.formats.headers import Header
from outliers_bench.data.formats.jpeg_markers import (
    PROGRESSIVE,
    SEQUENTIAL,
    Markers,
    check_scans,
    find_end,
    read_markers,
)
from outliers_bench.errors import UnreadableImageError, UnsupportedImageError
from outliers_bench.types import RGB

_MAX_PADDING = 16
"""Bytes that may be left over before the end marker: some cameras pad the data."""
_MAX_REPAIRS = 4

_EXTRANEOUS = re.compile(r"(\d+) extraneous bytes before marker (0x..)")
_DAMAGE = {
    "Premature end of JPEG file": "is a JPEG cut short",
    "premature end of data": "is a damaged JPEG (premature end of data)",
    "bad Huffman code": "is a damaged JPEG (invalid code)",
    "extraneous bytes": "is a damaged JPEG (data left over)",
    "instead of RST": "is a damaged JPEG (parts are missing)",
    "marker": "is a damaged JPEG (another marker within the data)",
}


def decode(data: bytes, header: Header, side: int | None) -> RGB:
    """Decode a JPEG upright; see `decode.decode` for `side`.

    Raises
    ------
    UnsupportedImageError
        If the image is not coded as photos are: arithmetic, lossless, or 12 bits per sample.
    UnreadableImageError
        If the image is damaged or cut short.
    """
    markers = read_markers(data)
    _check_supported(markers)
    check_scans(data, markers)
    is_cmyk = len(markers.components) == 4
    pixels = _decode(data, markers, "CMYK" if is_cmyk else "RGB", _scale(header, side))
    if is_cmyk:
        image = cmyk_to_srgb(255 - pixels, header.profile)
        image = _cmyk_to_rgb(pixels) if image is None else image
    else:
        image = to_srgb(pixels, header.profile)
    return upright(image, orientation_of(header.exif))


def _check_supported(markers: Markers) -> None:
    process = {0xC3: "lossless", 0xC7: "lossless", 0xC5: "hierarchical", 0xC6: "hierarchical"}
    if markers.frame not in (*SEQUENTIAL, PROGRESSIVE):
        coding = process.get(markers.frame, "arithmetic-coded")
        raise UnsupportedImageError(f"is a JPEG of a rare kind ({coding}); convert it to PNG")
    if markers.bits != 8:
        raise UnsupportedImageError(
            f"is a JPEG of a rare kind ({markers.bits} bits per sample); convert it to PNG"
        )
    if len(markers.components) not in (1, 3, 4):
        raise UnsupportedImageError(
            f"is a JPEG of a rare kind ({len(markers.components)} color components); "
            "convert it to PNG"
        )


def _scale(header: Header, side: int | None) -> int:
    """Return the divisor of both sides: 8, 4, 2 or 1."""
    for scale in (8, 4, 2):
        # Sizes that do not divide evenly are rounded up, which would shift the content.
        divides = header.width % scale == header.height % scale == 0
        if side is not None and divides and min(header.width, header.height) >= side * scale:
            return scale
    return 1


def _decode(
    data: bytes, markers: Markers, space: str, scale: int, *, repairs: int = 0
) -> npt.NDArray[np.uint8]:
    """Decode to RGB or CMYK as stored, shape (height, width, 3 or 4)."""
    import simplejpeg

    height, width = markers.height // scale, markers.width // scale
    limits = {"min_height": height, "min_width": width, "min_factor": scale} if scale > 1 else {}
    try:
        pixels: npt.NDArray[np.uint8] = simplejpeg.decode_jpeg(data, colorspace=space, **limits)
    except ValueError as error:
        message = str(error)
    else:
        return pixels
    if "Could not determine subsampling" in message:
        return _decode_rare_subsampling(data, markers, space)
    if repairs < _MAX_REPAIRS:
        harmless = _without_harmless(data, markers, message)
        if harmless not in (None, data):
            return _decode(harmless, read_markers(harmless), space, scale, repairs=repairs + 1)
    for words, damage in _DAMAGE.items():
        if words in message:
            raise UnreadableImageError(damage)
    raise UnreadableImageError(f"is a damaged JPEG ({message})")


def _without_harmless(data: bytes, markers: Markers, message: str) -> bytes | None:
    """Return the file without the cause of a warning that concerns no pixel; None if another.

    Only the last warning of libjpeg-turbo is known, so this may have hidden another.
    """
    extraneous = _EXTRANEOUS.search(message)
    if extraneous and extraneous[2] != "0xd9":  # if before the first scan
        segments = b"".join(data[start:end] for start, end in markers.segments)
        return data[:2] + segments + data[markers.scan :]
    if extraneous and int(extraneous[1]) <= _MAX_PADDING:
        end = find_end(data, markers)
        return data[: end - int(extraneous[1])] + data[end:]
    if "bad ICC marker" in message:
        return data.replace(b"ICC_PROFILE\0", b"not_profile\0")
    mended = bytearray(data)
    if "JFIF revision" in message:
        mended[data.index(b"JFIF\0") + 5] = 1
    elif "Adobe color transform" in message:
        mended[data.index(b"Adobe") + 11] = 1 if len(markers.components) == 3 else 2
    elif "Invalid SOS parameters" in message:
        end = markers.scan + 6 + 2 * data[markers.scan + 4]
        mended[end - 1 : end + 2] = b"\0\x3f\0"
    else:
        return None
    return bytes(mended)


def _decode_rare_subsampling(data: bytes, markers: Markers, space: str) -> npt.NDArray[np.uint8]:
    """Decode with Pillow, which reads any subsampling but reports no warnings."""
    from PIL import JpegImagePlugin

    find_end(data, markers)
    try:
        pixels = np.asarray(JpegImagePlugin.JpegImageFile(BytesIO(data)).convert(space))
    except (OSError, SyntaxError, ValueError) as error:
        raise UnreadableImageError(f"is a damaged JPEG ({error})") from None
    return 255 - pixels if space == "CMYK" else pixels  # stored inverted


def _cmyk_to_rgb(cmyk: npt.NDArray[np.uint8]) -> RGB:
    """Convert inverted CMYK, as all JPEGs have it: 255 is no ink. Same values as OpenCV's."""
    black = cmyk[..., 3:].astype(np.uint16)
    return (black - ((255 - cmyk[..., :3]) * black >> 8)).astype(np.uint8)
