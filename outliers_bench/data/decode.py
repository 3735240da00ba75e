"""From the bytes of an image file to upright RGB pixels, and to the square a backbone takes."""

from __future__ import annotations

import struct
from importlib.metadata import version

import numpy as np
import numpy.typing as npt

from outliers_bench.data.headers import Header, HeaderError, read_header, read_tags
from outliers_bench.data.opencv import MAX_PIXELS, opencv
from outliers_bench.errors import UnreadableImageError
from outliers_bench.types import RGB

OVERSAMPLING = 3
"""Pixels a side that a JPEG decoded at a reduced size keeps for each that is made of them.

Averaging so many hides how the size was reduced. Squeezed to 224 pixels, large photos differ from
the same ones decoded whole by 0.2 of 255 on average, and what MobileNet makes of them by 2.5e-4
(1 - cosine); those that are sharp to the last pixel by 0.6 to 1.5, and 4e-4 to 1.2e-3. With 2 it
is twice as much.
"""

DECODER = (
    f"opencv-{'.'.join(version('opencv-contrib-python-headless').split('.')[:2])} area/linear, "
    f"jpeg reduced to no less than {OVERSAMPLING}x"
)
"""What turns files into pixels. Part of the feature key, since another decoder gives others."""


def decode(data: bytes, *, name: str, max_pixels: int = MAX_PIXELS, side: int | None = None) -> RGB:
    """Decode one image file, whatever its extension says.

    JPEG, PNG, WebP, BMP, TIFF and the first frame of GIF; grayscale, palette, CMYK and 16-bit
    images become 8-bit RGB, transparent ones are laid over white, EXIF orientation is applied.
    Safe to call from several threads.

    Parameters
    ----------
    data : bytes
        The whole file.
    name : str
        What the image is called in an error.
    max_pixels : int
        Larger images are refused before they are decoded.
    side : int or None
        Pixels that the image's sides must at least have; see `oversampled`. A larger JPEG is
        decoded at a half, a quarter or an eighth of its size where that divides both sides, which
        takes less time and memory. Every other format is decoded whole. None: at its own size.

    Returns
    -------
    array of uint8, shape (height, width, 3)

    Raises
    ------
    UnreadableImageError
        If the data are empty, no image, cut short, damaged, or have too many pixels.
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
            # Sizes that do not divide are rounded up, which would shift what is in the picture.
            divides = header.width % scale == header.height % scale == 0
            if divides and min(header.width, header.height) >= side * scale:
                # The flag for color says BGR; with the one for gray, that for RGB may stand.
                reduced = getattr(cv2, f"IMREAD_REDUCED_GRAYSCALE_{scale}")
                return cv2.imdecode(buffer, reduced | cv2.IMREAD_COLOR_RGB)  # type: ignore[no-any-return]
    return cv2.imdecode(buffer, cv2.IMREAD_COLOR_RGB)  # type: ignore[no-any-return]


def oversampled(size: int) -> int:
    """Pixels a side that `decode` must leave of a photo that is squeezed to `size` by `size`."""
    return OVERSAMPLING * size


def resize(image: RGB, size: int) -> RGB:
    """Squeeze an image to a square, anti-aliased where it shrinks.

    Parameters
    ----------
    image : array of uint8, shape (height, width, 3)
    size : int
        Side of the square, in pixels.

    Returns
    -------
    array of uint8, shape (size, size, 3)
        The image itself where it already has that size.
    """
    cv2 = opencv()
    height, width = image.shape[:2]
    # Linear interpolation skips pixels when it shrinks, area averaging makes blocks when it
    # enlarges; an image long in one direction only needs one after the other.
    smaller = min(width, size), min(height, size)
    if smaller != (width, height):
        image = cv2.resize(image, smaller, interpolation=cv2.INTER_AREA)
    if smaller != (size, size):
        image = cv2.resize(image, (size, size), interpolation=cv2.INTER_LINEAR)
    return image


def shrink(image: RGB, longest: int) -> RGB:
    """Make an image small enough, its proportions kept; smaller ones stay as they are.

    Parameters
    ----------
    image : array of uint8, shape (height, width, 3)
    longest : int
        Pixels that the longer side may have.

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
    """Decode with alpha, which OpenCV does only without orientation, and lay over white."""
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
    # libtiff hands out 8-bit colors that are multiplied with their alpha already.
    multiplied = header.format == "TIFF" and image.dtype == np.uint8
    if image.dtype == np.uint16:
        image = (image >> 8).astype(np.uint8)
    rgb, alpha = image[..., 2::-1], image[..., 3:]
    if alpha.min() < 255:
        weight = alpha.astype(np.uint32)
        own = rgb.astype(np.uint32) * (255 if multiplied else weight)
        rgb = ((own + 255 * (255 - weight) + 127) // 255).clip(max=255).astype(np.uint8)
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
