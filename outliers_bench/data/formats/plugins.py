"""Formats decoded by Pillow and by pillow-heif, which is a plugin of it."""

from __future__ import annotations

import io
import struct
from importlib import import_module
from typing import Any

import numpy as np

from outliers_bench.data.formats.color import cmyk_to_srgb, to_srgb
from outliers_bench.data.formats.composite import orientation_of, over_white, upright
from outliers_bench.data.formats.extra import from_extra
from outliers_bench.data.formats.headers import Header
from outliers_bench.errors import UnreadableImageError, UnsupportedImageError
from outliers_bench.types import RGB

# Classes, rather than Image.open, which prints warnings about large images and tries all formats.
_PLUGINS = {
    "AVIF": ("PIL.AvifImagePlugin", "AvifImageFile"),
    "HEIF": ("pillow_heif", "HeifImageFile"),
    "PCX": ("PIL.PcxImagePlugin", "PcxImageFile"),
    "Photoshop": ("PIL.PsdImagePlugin", "PsdImageFile"),
    "QOI": ("PIL.QoiImagePlugin", "QoiImageFile"),
    "SGI": ("PIL.SgiImagePlugin", "SgiImageFile"),
}
KINDS = tuple(_PLUGINS)
_VARIANT = ("unsupported", "unknown", "unimplemented", "unable to determine")
_MERGED = 1057  # Photoshop's resource that says whether there is a picture of all layers


def read_header(data: bytes, kind: str) -> Header:
    """Read the size of an image in one of `KINDS`.

    Raises
    ------
    UnsupportedImageError
        If a package is not installed or the variant of the format is not decoded.
    UnreadableImageError
        If the image is damaged.
    """
    image = _open(data, kind)
    return Header(kind, image.width, image.height)


def decode(data: bytes, header: Header, side: int | None) -> RGB:  # noqa: ARG001 - JPEG only
    """Decode the primary image in one of `KINDS` at full size, over white and upright.

    Raises
    ------
    UnsupportedImageError
        If a package is not installed or the variant of the format is not decoded.
    UnreadableImageError
        If the image is damaged or cut short.
    """
    image = _open(data, header.format)
    try:
        image.load()
        rgb = _rgb(image, header.format)
    except Exception:
        raise UnreadableImageError(f"is a damaged or cut-short {header.format}") from None
    return upright(rgb, orientation_of(image.info.get("exif") or b""))


def _open(data: bytes, kind: str) -> Any:  # noqa: ANN401 - an image of Pillow
    module, name = _PLUGINS[kind]
    is_extra = kind == "HEIF"
    plugin = from_extra(module, "is a HEIF image") if is_extra else import_module(module)
    if kind == "Photoshop":
        _check_photoshop(data)
    # Pillow reads the gray of these as 8 bits, of which a picture may use few.
    if kind == "SGI" and data[3] == 2 and data[10:12] == b"\0\1":
        raise UnsupportedImageError("is an SGI of 16-bit gray, which is not supported")
    # Pillow would read the indices of colors as gray if the palette at the end is cut off.
    is_8_bit = kind == "PCX" and (data[3:4], data[65:66]) == (b"\x08", b"\1")
    if is_8_bit and data[-769:-768] != b"\x0c":
        raise UnreadableImageError("is a PCX cut short")
    try:
        return getattr(plugin, name)(io.BytesIO(data))
    except Exception as error:
        if isinstance(error.__cause__, KeyError) or any(
            word in str(error).lower() for word in _VARIANT
        ):
            reason = f"is a {kind} of a variant that is not supported"
            raise UnsupportedImageError(reason) from None
        raise UnreadableImageError(f"is a damaged or cut-short {kind}") from None


def _rgb(image: Any, kind: str) -> RGB:  # noqa: ANN401 - an image of Pillow
    if image.mode.startswith("I;16"):  # gray of 10 or 12 bits, which Pillow would cut off at 255
        high = (np.asarray(image) >> 8).astype(np.uint8)
        return np.repeat(high[..., None], 3, axis=2)
    profile = image.info.get("icc_profile") or b""
    if image.mode == "CMYK":
        converted = cmyk_to_srgb(np.asarray(image), profile)
        return np.asarray(image.convert("RGB")) if converted is None else converted
    if not image.has_transparency_data:
        return to_srgb(np.asarray(image.convert("RGB")), profile)
    rgba = np.asarray(image.convert("RGBA"))
    rgb = to_srgb(np.ascontiguousarray(rgba[..., :3]), profile)
    # Photoshop's picture of all layers is over white already.
    return rgb if kind == "Photoshop" else over_white(rgb, rgba[..., 3:])


def _check_photoshop(data: bytes) -> None:
    """Refuse large documents, and those that were saved without a picture of all layers."""
    if data[4:6] == b"\0\2":
        raise UnsupportedImageError("is a large Photoshop document, which is not supported")
    try:
        (colors,) = struct.unpack_from(">I", data, 26)
        (size,) = struct.unpack_from(">I", data, 30 + colors)
        at = 34 + colors
        end = at + size
        while at < end:
            (number,) = struct.unpack_from(">H", data, at + 4)
            at += 6 + (data[at + 6] + 2) // 2 * 2
            (size,) = struct.unpack_from(">I", data, at)
            if number == _MERGED and not data[at + 8]:
                raise UnsupportedImageError(
                    "is a Photoshop document without a picture of all layers, not supported; save "
                    "it with maximum compatibility"
                )
            at += 4 + (size + 1) // 2 * 2
    except (struct.error, IndexError):
        raise UnreadableImageError("is a damaged or cut-short Photoshop") from None
