"""Decode image files to upright RGB pixels and resize them to the input of a backbone."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version

from outliers_bench.data.decoding_memory import decoding_memory
from outliers_bench.data.formats import (
    headers,
    jpeg,
    jpeg_2000,
    jpeg_xl,
    opencv_formats,
    plugins,
    png,
    pnm,
    tiff,
)
from outliers_bench.data.formats.headers import Header
from outliers_bench.data.formats.kinds import HEAD, kind_of
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
    f"jpeg reduced to no less than {OVERSAMPLING}x, rules 2"
)
"""Name of the decoder. Part of the feature key, since another decoder gives other pixels.

The number of the rules changes with what the project decides: which files are damaged, how deeper
samples become 8 bits, what becomes of alpha and of color profiles. The versions of libjpeg-turbo
are not part of it: with the accurate DCT and upsampling used here they give the same pixels.
"""

_MORE = (jpeg_2000, jpeg_xl, plugins, pnm)

# Functions of the file's contents, its header, and the `side` of `decode`, by format. They raise
# `UnreadableImageError` without a name. OpenCV decodes the other formats.
_DECODERS: dict[str, Callable[[bytes, Header, int | None], RGB]] = {
    "JPEG": jpeg.decode,
    "PNG": png.decode,
    "TIFF": tiff.decode,
    **{kind: module.decode for module in _MORE for kind in module.KINDS},
}
_HEADERS: dict[str, Callable[[bytes, str], Header]] = {
    kind: module.read_header for module in _MORE for kind in module.KINDS
}


def decode(data: bytes, *, name: str, max_pixels: int = MAX_PIXELS, side: int | None = None) -> RGB:
    """Decode one image file; the format is detected from the content.

    JPEG, PNG, WebP, BMP, TIFF and the first frame of GIF; grayscale, palette, CMYK, 16-bit and
    float images become 8-bit RGB (`formats.depth` has the rules), transparency is composited over
    white, EXIF orientation is applied.
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
        return _decode(data, max_pixels, side)
    except UnreadableImageError as error:
        raise type(error)(error.reason, name=name) from None


def read_header(data: bytes) -> Header:
    """Detect the format of a file from its content, and read the header.

    Raises
    ------
    UnsupportedImageError
        If the format is known but not decoded, or needs a package that is not installed.
    UnreadableImageError
        If the bytes are not an image or end before the image does.
    """
    kind = kind_of(data[:HEAD])
    if kind in _HEADERS:
        return _HEADERS[kind](data, kind)
    return headers.read_header(data)


def _decode(data: bytes, max_pixels: int, side: int | None) -> RGB:
    """Decode; the errors have no name."""
    header = read_header(data)
    if header.width * header.height > max_pixels:
        size = f"{header.width} x {header.height} pixels"
        raise UnreadableImageError(f"has {size}, more than {max_pixels:,}")
    with decoding_memory(header.width * header.height * header.pixel_bytes):
        return _DECODERS.get(header.format, opencv_formats.decode)(data, header, side)


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
