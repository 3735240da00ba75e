"""Is it a picture that we can use? Decided by what is in it, never by its name or its header."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from outliers_bench.data.decode import decode
from outliers_bench.data.headers import HeaderError, read_header
from outliers_bench.errors import UnreadableImageError

_EXTENSIONS = {
    "JPEG": ".jpg",
    "PNG": ".png",
    "WebP": ".webp",
    "BMP": ".bmp",
    "GIF": ".gif",
    "TIFF": ".tif",
}


class RefusedPictureError(Exception):
    """Bytes that are not kept.

    Parameters
    ----------
    status : str
        `not_an_image`, `damaged`, `too_small` or `too_large`.
    reason : str
        What is wrong with them.
    """

    def __init__(self, status: str, reason: str) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True)
class Picture:
    """A picture that is worth keeping.

    Parameters
    ----------
    sha256 : str
        Of the bytes, in hexadecimal digits.
    extension : str
        By content, with the dot.
    bytes : int
    width, height : int
        Pixels, upright.
    """

    sha256: str
    extension: str
    bytes: int
    width: int
    height: int


def examine(data: bytes, *, min_side: int, max_pixels: int) -> Picture:
    """Decode a file that came from the web.

    Parameters
    ----------
    data : bytes
        The whole file.
    min_side : int
        Pixels that width and height must at least have.
    max_pixels : int
        Larger pictures are refused before they are decoded.

    Raises
    ------
    RefusedPictureError
        If the data are no image that is read here, are damaged, or too small or too large.
    """
    try:
        header = read_header(data)
    except HeaderError as error:
        status = "damaged" if "cut short" in str(error) else "not_an_image"
        raise RefusedPictureError(status, f"{error}{_instead(data)}") from None
    size = f"{header.width} x {header.height} pixels"
    if header.width * header.height > max_pixels:
        raise RefusedPictureError("too_large", f"{size}, more than max_pixels={max_pixels}")
    # Before decoding, which is what costs; sides are compared, so that turning changes nothing.
    if min(header.width, header.height) < min_side:
        raise RefusedPictureError("too_small", f"{size}, less than min_side={min_side}")
    try:
        image = decode(data, name="it", max_pixels=max_pixels)
    except UnreadableImageError as error:
        raise RefusedPictureError("damaged", str(error).removeprefix("it: ")) from None
    height, width = image.shape[:2]
    return Picture(
        hashlib.sha256(data).hexdigest(), _EXTENSIONS[header.format], len(data), width, height
    )


def _instead(data: bytes) -> str:
    """What the data are, where that is often the case."""
    start = data[:512].lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return " but a web page"
    if start.startswith(b"<svg") or (start.startswith(b"<?xml") and b"<svg" in start):
        return " but an SVG drawing"
    if data[4:8] == b"ftyp":
        return " but AVIF, HEIC or a film"
    return ""
