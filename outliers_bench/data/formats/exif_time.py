"""Time at which a photo was taken, from its EXIF data; the picture is not decoded."""

from __future__ import annotations

import struct
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO

from outliers_bench.data.formats.kinds import HEAD, kind_of

_EXIF, _TAKEN, _FRACTION = 0x8769, 0x9003, 0x9291  # directory, DateTimeOriginal, SubSecTimeOriginal
_CLASSES = {
    "JPEG": ("PIL.JpegImagePlugin", "JpegImageFile"),
    "TIFF": ("PIL.TiffImagePlugin", "TiffImageFile"),
    "PNG": ("PIL.PngImagePlugin", "PngImageFile"),
    "WebP": ("PIL.WebPImagePlugin", "WebPImageFile"),
    "AVIF": ("PIL.AvifImagePlugin", "AvifImageFile"),
    "HEIF": ("pillow_heif", "HeifImageFile"),
}
# What Pillow raises for damaged data.
_DAMAGED = (OSError, SyntaxError, ValueError, TypeError, LookupError, struct.error)


def read_exif_time(file: Path) -> str:
    """Return DateTimeOriginal, with fractions of a second; empty if a photo has none.

    Only this tag says when a photo was taken: DateTime is the time of the last change, and
    DateTimeDigitized, of a slide, that of the scan. It is the camera's clock, without time zone.
    Reads JPEG, TIFF, PNG, WebP, AVIF, and HEIC with the extra `formats`.

    Raises
    ------
    OSError
        If the file cannot be opened.
    """
    with file.open("rb") as opened:
        kind = kind_of(opened.read(HEAD))
        opened.seek(0)
        try:
            image = _open(kind, opened)
            # Pillow would decode a PNG to look for more behind the pixels.
            if image is None or (kind != "TIFF" and not image.info.get("exif")):
                return ""
            tags = image.getexif().get_ifd(_EXIF)
        except _DAMAGED:
            return ""
    taken = _text(tags.get(_TAKEN))
    fraction = _text(tags.get(_FRACTION))
    return f"{taken}.{fraction}" if taken and fraction.isdecimal() else taken


def _open(kind: str | None, file: BinaryIO) -> Any:  # noqa: ANN401 - classes of Pillow
    """Open a file by Pillow's class for its kind; `Image.open` refuses large pictures."""
    if kind not in _CLASSES or (kind == "HEIF" and not find_spec(_CLASSES[kind][0])):
        return None
    module, name = _CLASSES[kind]
    return getattr(import_module(module), name)(file)


def _text(value: object) -> str:
    if isinstance(value, bytes):
        value = value.decode("ascii", "replace")
    return str(value or "").strip("\0 ")
