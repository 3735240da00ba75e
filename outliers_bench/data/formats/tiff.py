"""TIFF and BigTIFF: samples of any layout and number type as upright RGB."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from outliers_bench.data.formats.color import cmyk_to_srgb, to_srgb
from outliers_bench.data.formats.composite import over_white, upright
from outliers_bench.data.formats.depth import Bytes, to_bytes
from outliers_bench.data.formats.headers import Header
from outliers_bench.data.formats.tiff_directory import Page, read_page
from outliers_bench.data.formats.tiff_segments import read_samples
from outliers_bench.errors import UnreadableImageError, UnsupportedImageError
from outliers_bench.types import RGB, BoolArray

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _MASK, _CMYK, _YCBCR, _LAB = 0, 1, 2, 3, 4, 5, 6, 8
_JPEG = 7
_PREMULTIPLIED, _ALPHA = 1, 2
_NAMES = {_YCBCR: "YCbCr without JPEG", _LAB: "Lab", 9: "Lab", 10: "Lab", 32844: "LogL"}
_NAMES |= {_MASK: "a mask", 32845: "LogLuv"}


def decode(data: bytes, header: Header, side: int | None) -> RGB:  # noqa: ARG001 - JPEG only
    """Decode the first full page of a TIFF at full size, over white and upright.

    Samples beyond the colors are read only if the file says that they are alpha. Of more than three
    bands without a color model, the first three are red, green and blue.

    Raises
    ------
    UnsupportedImageError
        If the file is a camera's raw file, or its compression, color model or number type is not
        decoded here.
    UnreadableImageError
        If the image is damaged or cut short.
    """
    page = read_page(data)
    try:
        colors = _colors(page)
        alpha = _alpha(page, colors)
        samples = read_samples(data, page, colors if alpha is None else alpha + 1)
        return upright(_rgb(page, samples, colors, alpha), page.orientation)
    except MemoryError:
        raise UnreadableImageError("is a TIFF too large for this machine's memory") from None


def _colors(page: Page) -> int:
    """Return the number of samples that make up the color."""
    colors = page.samples - len(page.extra)
    if page.photometric in (_WHITE_IS_ZERO, _BLACK_IS_ZERO):
        # Programs for maps write color of more than 8 bits as gray with two other bands.
        others = [kind for kind in page.extra if kind not in (_PREMULTIPLIED, _ALPHA)]
        return 3 if colors + len(others) >= 3 else 1
    if page.photometric == _PALETTE:
        return 1
    needed = {_RGB: 3, _CMYK: 4, _YCBCR: 3 if page.compression == _JPEG else None}
    count = needed.get(page.photometric)
    if count is None:
        name = _NAMES.get(page.photometric, f"color model {page.photometric}")
        raise UnsupportedImageError(f"is a TIFF in {name}, which is not supported")
    if page.samples < count:
        raise UnreadableImageError("is a damaged or cut-short TIFF")
    return count


def _alpha(page: Page, colors: int) -> int | None:
    """Return the position of the sample that is alpha; None without one."""
    first = page.samples - len(page.extra)
    positions = (first + i for i, kind in enumerate(page.extra) if kind in (_PREMULTIPLIED, _ALPHA))
    return next((position for position in positions if position >= colors), None)


def _rgb(page: Page, samples: npt.NDArray[Any], colors: int, alpha: int | None) -> RGB:
    color = samples[..., :colors] if colors > 1 else samples[..., 0]
    opacity = None if alpha is None else _opacity(samples[..., alpha], page.bits)
    is_stretched = samples.dtype.kind not in "bu" or page.bits > (8 if colors == 1 else 16)
    valid: BoolArray | None = None
    if is_stretched:
        missing = _is_missing(color, page.nodata)
        if missing.any():
            opacity = np.where(missing, 0, 255 if opacity is None else opacity).astype(np.uint8)
        valid = None if opacity is None else opacity > 0
    if page.photometric == _PALETTE:
        rgb = _palette(page, color)
    else:
        rgb = to_bytes(color, bits=page.bits, valid=valid)
        if page.photometric == _WHITE_IS_ZERO:
            rgb = 255 - rgb
        elif page.photometric == _CMYK:
            converted = cmyk_to_srgb(rgb, page.profile)
            rgb = _from_cmyk(rgb) if converted is None else converted
    if rgb.ndim == 2:
        rgb = np.repeat(rgb[..., None], 3, axis=2)
    if not is_stretched:  # what is stretched to its own range has no color
        rgb = to_srgb(rgb, page.profile)
    if opacity is None:
        return rgb
    premultiplied = (
        alpha is not None
        and page.extra[alpha - page.samples + len(page.extra)] == _PREMULTIPLIED
        and not is_stretched
    )
    return over_white(rgb, opacity[..., None], premultiplied=premultiplied)


def _opacity(alpha: npt.NDArray[Any], bits: int) -> Bytes:
    """Return alpha as 8-bit values by its full range; that of floats is 0 to 1."""
    if alpha.dtype.kind == "f":
        opacity: Bytes = np.rint(np.nan_to_num(alpha).clip(0, 1) * 255).astype(np.uint8)
        return opacity
    if bits <= 8:
        return to_bytes(alpha, bits=bits)
    high: Bytes = np.right_shift(alpha.view(f"u{alpha.itemsize}"), bits - 8).astype(np.uint8)
    return high


def _is_missing(color: npt.NDArray[Any], nodata: float | None) -> BoolArray:
    """Return which pixels have no value: NaN, or what the file declares as such."""
    missing: BoolArray = np.zeros(color.shape, bool)
    if color.dtype.kind == "f":
        missing = np.isnan(color)
    if nodata is not None and (color.dtype.kind == "f" or nodata.is_integer()):
        with np.errstate(over="ignore"):  # a number of 64 bits is infinite
            number = np.float32(nodata) if color.dtype == np.float32 else nodata
        missing |= color == number
    return np.all(missing, axis=2) if missing.ndim == 3 else missing


def _palette(page: Page, indices: npt.NDArray[Any]) -> RGB:
    size = 2**page.bits
    if len(page.color_map) != 3 * size or indices.dtype.kind != "u":
        raise UnreadableImageError("is a TIFF with a damaged palette")
    table = np.array(page.color_map, np.uint32).reshape(3, size).T
    if table.max() > 255:  # some programs write 8 of the 16 bits
        table >>= 8
    rgb: RGB = table.astype(np.uint8)[indices]
    return rgb


def _from_cmyk(ink: Bytes) -> RGB:
    paper = 255 - ink.astype(np.uint16)
    rgb: RGB = ((paper[..., :3] * paper[..., 3:] + 127) // 255).astype(np.uint8)
    return rgb
