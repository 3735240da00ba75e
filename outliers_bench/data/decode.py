"""Decode image files to upright RGB pixels and resize them to the input of a backbone."""

from __future__ import annotations

import struct
from importlib.metadata import version

import numpy as np
import numpy.typing as npt

from outliers_bench.data.formats.headers import Header, HeaderError, read_header, read_tags
from outliers_bench.data.opencv import MAX_PIXELS, opencv
from outliers_bench.errors import UnreadableImageError
from outliers_bench.types import RGB

OVERSAMPLING = 3
"""Minimum ratio of a reduced JPEG's side to the side of the final square.

Averaging this many pixels hides how the size was reduced. Resized to 224 pixels, large photos
differ from the same photos decoded at full size by 0.2 of 255 on average, and their MobileNet
embeddings by 2.5e-4 (1 - cosine); photos that are sharp at the pixel level by 0.6 to 1.5, and 4e-4
to 1.2e-3. A ratio of 2 doubles the differences.
"""

DECODER = (
    f"opencv-{'.'.join(version('opencv-contrib-python-headless').split('.')[:2])} area/linear, "
    f"jpeg reduced to no less than {OVERSAMPLING}x"
)
"""Name of the decoder. Part of the feature key, since another decoder gives other pixels."""


def decode(data: bytes, *, name: str, max_pixels: int = MAX_PIXELS, side: int | None = None) -> RGB:
    """Decode one image file; the format is detected from the content.

    JPEG, PNG, WebP, BMP, TIFF and the first frame of GIF; grayscale, palette, CMYK and 16-bit
    images become 8-bit RGB, transparency is composited over white, EXIF orientation is applied.
    Thread-safe.

    Parameters
    ----------
    data : bytes
        Complete contents of the file.
    name : str
        Name of the image in error messages.
    max_pixels : int
        Maximum number of pixels; larger images are refused before decoding.
    side : int or None
        Minimum length of the image's sides in pixels; see `oversampled_side`. A larger JPEG is
        decoded at 1/2, 1/4, or 1/8 of its size if that divides both sides, which takes less time
        and memory. Other formats are decoded at full size. None for full size.

    Returns
    -------
    array of uint8, shape (height, width, 3)

    Raises
    ------
    UnreadableImageError
        If the data are empty, not an image, truncated, damaged, or have too many pixels.
    """
    try:
        header = read_header(data)
    except HeaderError as error:
        raise UnreadableImageError(f"{name}: {error}") from None
    if header.width * header.height > max_pixels:
        raise UnreadableImageError(
            f"{name}: has {header.width} x {header.height} pixels, more than {max_pixels:,}"
        )
    cv2 = opencv()
    start, end = header.skip
    buffer = np.frombuffer(data[:start] + data[end:] if end else data, dtype=np.uint8)
    try:
        image = _over_white(buffer, header) if header.alpha else _in_color(buffer, header, side)
    except (cv2.error, MemoryError):
        image = None
    if image is None:
        raise UnreadableImageError(f"{name}: is a damaged or cut-short {header.format}")
    return image


def _in_color(buffer: npt.NDArray[np.uint8], header: Header, side: int | None) -> RGB | None:
    cv2 = opencv()
    if side is not None and header.format == "JPEG":
        for scale in (8, 4, 2):
            # Sizes that do not divide evenly are rounded up, which would shift the content.
            divides = header.width % scale == header.height % scale == 0
            if divides and min(header.width, header.height) >= side * scale:
                # IMREAD_REDUCED_COLOR implies BGR; the gray flag can be combined with RGB.
                reduced = getattr(cv2, f"IMREAD_REDUCED_GRAYSCALE_{scale}")
                return cv2.imdecode(buffer, reduced | cv2.IMREAD_COLOR_RGB)  # type: ignore[no-any-return]
    return cv2.imdecode(buffer, cv2.IMREAD_COLOR_RGB)  # type: ignore[no-any-return]


def oversampled_side(size: int) -> int:
    """Return the `side` to give to `decode` for a photo that is resized to `size` by `size`."""
    return OVERSAMPLING * size


def resize(image: RGB, size: int) -> RGB:
    """Resize an image to a square, ignoring the aspect ratio; anti-aliased when it shrinks.

    Parameters
    ----------
    image : array of uint8, shape (height, width, 3)
    size : int
        Side of the square, in pixels.

    Returns
    -------
    array of uint8, shape (size, size, 3)
        The same array if it already has that size.
    """
    cv2 = opencv()
    height, width = image.shape[:2]
    # Linear interpolation skips pixels when shrinking, and area averaging makes blocks when
    # enlarging; an image that is long in one direction only needs both, one after the other.
    smaller = min(width, size), min(height, size)
    if smaller != (width, height):
        image = cv2.resize(image, smaller, interpolation=cv2.INTER_AREA)
    if smaller != (size, size):
        image = cv2.resize(image, (size, size), interpolation=cv2.INTER_LINEAR)
    return image


def shrink(image: RGB, longest: int) -> RGB:
    """Shrink an image to a maximum side, preserving the aspect ratio; small images are unchanged.

    Parameters
    ----------
    image : array of uint8, shape (height, width, 3)
    longest : int
        Maximum length of the longer side in pixels.

    Returns
    -------
    array of uint8, shape (h, w, 3)
    """
    height, width = image.shape[:2]
    scale = longest / max(height, width)
    if scale >= 1:
        return image
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small: RGB = opencv().resize(image, size, interpolation=opencv().INTER_AREA)
    return small


def _over_white(buffer: npt.NDArray[np.uint8], header: Header) -> RGB | None:
    """Decode with alpha and composite over white; OpenCV ignores orientation in this mode."""
    cv2 = opencv()
    image, kinds, blocks = cv2.imdecodeWithMetadata(buffer, flags=cv2.IMREAD_UNCHANGED)
    if image is None:
        return None
    if image.ndim == 2 and header.transparent_gray is not None:
        scale = 255 // (2**header.bits - 1) if header.bits < 8 else 1
        opaque = image != header.transparent_gray * scale
        image = np.dstack([image] * 3 + [opaque * np.iinfo(image.dtype).max]).astype(image.dtype)
    if image.ndim == 2 or image.shape[2] != 4:
        return cv2.imdecode(buffer, cv2.IMREAD_COLOR_RGB)  # type: ignore[no-any-return]
    # libtiff returns 8-bit colors premultiplied with alpha.
    premultiplied = header.format == "TIFF" and image.dtype == np.uint8
    if image.dtype == np.uint16:
        image = (image >> 8).astype(np.uint8)
    rgb, alpha = image[..., 2::-1], image[..., 3:]
    if alpha.min() < 255:
        weight = alpha.astype(np.uint32)
        foreground = rgb.astype(np.uint32) * (255 if premultiplied else weight)
        rgb = ((foreground + 255 * (255 - weight) + 127) // 255).clip(max=255).astype(np.uint8)
    exif = [
        bytes(block)
        for kind, block in zip(kinds, blocks, strict=True)
        if kind == cv2.IMAGE_METADATA_EXIF
    ]
    return np.ascontiguousarray(_upright(rgb, _orientation(exif[0]) if exif else 1))


def _orientation(exif: bytes) -> int:
    try:
        return read_tags(exif.removeprefix(b"Exif\0\0")).get(0x112, 1)
    except struct.error:
        return 1


def _upright(image: RGB, orientation: int) -> RGB:
    """Undo an EXIF orientation: 1 upright, 2-4 mirrored or half-turned, 5-8 on their side."""
    if orientation in (5, 6, 7, 8):
        image = image.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    return image
