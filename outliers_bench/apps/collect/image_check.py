"""Check of downloaded files by content; file name and Content-Type header are ignored."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from outliers_bench.data.decode import decode, read_header
from outliers_bench.errors import UnreadableImageError, UnsupportedImageError


class RejectedImageError(Exception):
    """A file that is not collected.

    Parameters
    ----------
    status : str
        `not_an_image`, `damaged`, `too_small` or `too_large`.
    reason : str
        Explanation for the user.
    """

    def __init__(self, status: str, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class CheckedImage(NamedTuple):
    """Properties of an image that can be collected.

    Parameters
    ----------
    sha256 : str
        Digest of the file, in hexadecimal digits.
    extension : str
        File name extension of the format, with the dot.
    width, height : int
        Pixels, after the EXIF orientation is applied.
    """

    sha256: str
    extension: str
    width: int
    height: int


_EXTENSIONS = {"JPEG": ".jpg", "TIFF": ".tif", "JPEG 2000": ".jp2", "JPEG XL": ".jxl"}
_EXTENSIONS |= {"HEIF": ".heic", "Photoshop": ".psd"}


def check_image(data: bytes, *, min_side: int, max_pixels: int) -> CheckedImage:
    """Decode a downloaded file and check its size; see `Collect` for the limits.

    Raises
    ------
    RejectedImageError
        If the file is not an image of a supported format, is damaged, too small or too large.
    """
    try:
        header = read_header(data)
    except UnsupportedImageError as error:
        raise RejectedImageError("not_an_image", error.reason) from None
    except UnreadableImageError as error:
        status = "damaged" if "cut short" in str(error) else "not_an_image"
        raise RejectedImageError(status, f"{error}{_describe_other(data)}") from None
    size = f"{header.width} x {header.height} pixels"
    if header.width * header.height > max_pixels:
        raise RejectedImageError("too_large", f"{size}, more than max_pixels={max_pixels}")
    # Checked before the costly decoding. Both sides count, so the orientation makes no difference.
    if min(header.width, header.height) < min_side:
        raise RejectedImageError("too_small", f"{size}, less than min_side={min_side}")
    try:
        image = decode(data, name="it", max_pixels=max_pixels)
    except UnreadableImageError as error:
        status = "not_an_image" if isinstance(error, UnsupportedImageError) else "damaged"
        raise RejectedImageError(status, error.reason) from None
    height, width = image.shape[:2]
    extension = _EXTENSIONS.get(header.format, f".{header.format.lower()}")
    return CheckedImage(hashlib.sha256(data).hexdigest(), extension, width, height)


def _describe_other(data: bytes) -> str:
    """Return the end of a message that names a common other type of file; empty if unknown."""
    start = data[:512].lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return " but a web page"
    if data[4:8] == b"ftyp":
        return " but a video"
    return ""
