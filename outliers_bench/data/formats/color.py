"""Color profiles: conversion of decoded pixels to sRGB."""

from __future__ import annotations

from functools import lru_cache
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from outliers_bench.types import RGB

if TYPE_CHECKING:
    from PIL.ImageCms import ImageCmsTransform

_LEVELS = 17  # of each channel, in the grid on which a profile is compared with sRGB
_TOLERANCE = 1  # of 255
_PROFILES = 64  # a folder has few, and each of a CMYK printer has half a megabyte


def to_srgb(pixels: npt.NDArray[np.uint8], profile: bytes) -> npt.NDArray[np.uint8]:
    """Convert pixels with an embedded ICC profile to sRGB.

    Relative colorimetric with black point compensation, by Little CMS. A profile that is damaged,
    or of another color model than the pixels, is ignored; so is one that is sRGB itself up to one
    of 255, which costs nothing.

    Parameters
    ----------
    pixels : array of uint8, shape (height, width, 3)
        RGB; three equal channels are gray, if the profile is one of gray.
    profile : bytes
        Contents of an ICC profile; empty if there is none.

    Returns
    -------
    array of uint8, shape (height, width, 3)
        The same array if there is nothing to convert.
    """
    space = profile[16:20]
    if space == b"RGB ":
        transform = _rgb_transform(profile)
        return pixels if transform is None else _apply(transform, pixels)
    if space == b"GRAY":
        table = _gray_table(profile)
        gray = pixels[..., 0]
        is_gray = all(np.array_equal(gray, pixels[..., other]) for other in (1, 2))
        return table[gray] if table is not None and is_gray else pixels
    return pixels


def cmyk_to_srgb(ink: npt.NDArray[np.uint8], profile: bytes) -> RGB | None:
    """Convert CMYK, where 0 is no ink, to sRGB; None without a usable profile.

    Parameters
    ----------
    ink : array of uint8, shape (height, width, 4)
    profile : bytes
        Contents of an ICC profile; empty if there is none.

    Returns
    -------
    array of uint8, shape (height, width, 3), or None
    """
    transform = _cmyk_transform(profile) if profile[16:20] == b"CMYK" else None
    return None if transform is None else _apply(transform, ink)


@lru_cache(_PROFILES)
def _rgb_transform(profile: bytes) -> ImageCmsTransform | None:
    """Return the conversion to sRGB, which threads can share; None if it is not needed."""
    transform = _build(profile, "RGB")
    if transform is None:
        return None
    levels = np.linspace(0, 255, _LEVELS).round().astype(np.uint8)
    grid = np.stack(np.meshgrid(levels, levels, levels), -1).reshape(1, -1, 3)
    return transform if _differ(_apply(transform, grid), grid) else None


@lru_cache(_PROFILES)
def _gray_table(profile: bytes) -> RGB | None:
    """Return the sRGB value of each gray, shape (256, 3); None if it is the same."""
    # Little CMS's optimized conversion of gray is wrong by up to 10 of 255 where it is steep.
    transform = _build(profile, "L", exact=True)
    if transform is None:
        return None
    ramp = np.arange(256, dtype=np.uint8)
    table = _apply(transform, ramp[None])[0]
    return table if _differ(table, ramp[:, None]) else None


@lru_cache(_PROFILES)
def _cmyk_transform(profile: bytes) -> ImageCmsTransform | None:
    return _build(profile, "CMYK")


def _differ(one: npt.NDArray[np.uint8], other: npt.NDArray[np.uint8]) -> bool:
    return bool(np.abs(one.astype(np.int16) - other).max() > _TOLERANCE)


def _build(profile: bytes, mode: str, *, exact: bool = False) -> ImageCmsTransform | None:
    """Return the conversion from the profile to sRGB; None if the profile is damaged."""
    from PIL import ImageCms

    flags = ImageCms.Flags.BLACKPOINTCOMPENSATION
    if exact:
        flags |= ImageCms.Flags.NOOPTIMIZE
    try:
        return ImageCms.buildTransform(
            ImageCms.ImageCmsProfile(BytesIO(profile)),
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            flags,
        )
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None


def _apply(transform: ImageCmsTransform, pixels: npt.NDArray[np.uint8]) -> RGB:
    from PIL import Image, ImageCms

    mode = "L" if pixels.ndim == 2 else "RGB" if pixels.shape[2] == 3 else "CMYK"
    height, width = pixels.shape[:2]
    image = Image.frombuffer(mode, (width, height), np.ascontiguousarray(pixels), "raw", mode, 0, 1)
    return np.array(ImageCms.applyTransform(image, transform))  # writable
