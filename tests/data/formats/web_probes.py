"""Probes of JPEG, PNG, WebP, GIF and BMP."""

from __future__ import annotations

from functools import partial

import numpy as np
from PIL import Image

from tests.data.encoded_images import STORED, chunk, png
from tests.data.formats.modern_probes import picture
from tests.data.formats.probes import (
    HEIGHT,
    WIDTH,
    Probe,
    Sample,
    noise,
    open_with_pillow,
    over_white,
    rgb,
    save,
    smooth,
    stretched,
)
from tests.data.formats.tiff_files import packed


def _pillow(kind, mode, *, lossy=False, **options):
    stored, seen = picture(mode, lossy=lossy)
    data = save(Image.fromarray(stored, mode), kind, **options)
    if lossy:
        return Sample(data, seen)
    return Sample(data, seen, open_with_pillow(data), stored)


def _converted(kind, mode, *, lossy=False, **options):
    image = smooth().astype(np.uint8) if lossy else noise(HEIGHT, WIDTH, 3)
    converted = Image.fromarray(image).convert(mode)
    return Sample(save(converted, kind, **options), np.asarray(converted.convert("RGB")))


def _oriented(kind, orientation, **options):
    exif = Image.Exif()
    exif[0x112] = orientation
    upright = smooth().astype(np.uint8)
    stored = np.ascontiguousarray(STORED[orientation](upright))
    return Sample(save(stored, kind, exif=exif, **options), upright)


def _png(bits, color):
    channels = {0: 1, 2: 3, 4: 2, 6: 4}[color]
    array = noise(HEIGHT, WIDTH, channels, dtype="u2", high=2**bits)
    lines = packed(array, bits)
    size = len(lines) // HEIGHT
    samples = b"".join(b"\0" + lines[i * size : (i + 1) * size] for i in range(HEIGHT))
    data = png(WIDTH, HEIGHT, bits, color, samples)
    top = 2**bits - 1
    seen = array[..., : channels - (color > 3)] / top * 255
    if bits == 16:
        seen = array[..., : channels - (color > 3)] >> 8
    if color in (0, 4):
        seen = rgb(stretched(array[..., 0]) if bits == 16 else seen[..., 0])
    alpha = array[..., -1] >> 8 if bits == 16 else array[..., -1]
    return Sample(data, over_white(seen, alpha / 255) if color > 3 else seen)


def _png_key(bits, color):
    """One gray or color is transparent."""
    array = noise(HEIGHT, WIDTH, 3 if color else 1, dtype="u2", high=4) * (2**bits // 4)
    key = array[5, 5]
    data = png(
        WIDTH,
        HEIGHT,
        bits,
        color,
        b"".join(b"\0" + packed(row[None], bits) for row in array),
        chunk(b"tRNS", key.astype(">u2").tobytes()),
    )
    opaque = (array != key).any(2)
    seen = array >> (bits - 8)
    if not color:
        seen = array[..., 0] if bits == 8 else np.zeros((HEIGHT, WIDTH))
        if bits == 16:
            low, high = array[opaque].min(), array[opaque].max()
            seen = (array[..., 0].astype(float) - low) / (high - low) * 255
        seen = rgb(seen.clip(0, 255))
    return Sample(data, np.where(opaque[..., None], seen, 255))


def _interlaced():
    import cv2

    array = noise(HEIGHT, WIDTH, 3)
    options = [cv2.IMWRITE_PNG_COMPRESSION, 9]
    data = cv2.imencode(".png", array[..., ::-1], options)[1].tobytes()
    return Sample(data, array, open_with_pillow(data), array)


def _all():
    best = {"quality": 100, "subsampling": 0}
    for mode in ("L", "RGB"):
        make = partial(_pillow, "JPEG", mode, lossy=True, **best)
        yield Probe("JPEG", "color models (lossy)", mode, make, 4)
    yield Probe(
        "JPEG",
        "color models (lossy)",
        "CMYK",
        partial(_converted, "JPEG", "CMYK", lossy=True, **best),
        4,
    )
    for subsampling in (1, 2):
        options = {"quality": 95, "subsampling": subsampling, "lossy": True}
        make = partial(_pillow, "JPEG", "RGB", **options)
        yield Probe("JPEG", "subsampling (lossy)", f"4:2:{2 - 2 * (subsampling - 1)}", make, 16)
    make = partial(_pillow, "JPEG", "RGB", lossy=True, progressive=True, **best)
    yield Probe("JPEG", "color models (lossy)", "RGB, progressive", make, 4)
    for kind, options, tolerance in (
        ("JPEG", best, 4),
        ("PNG", {}, 0),
        ("WEBP", {"lossless": True, "exact": True}, 0),
    ):
        name = {"WEBP": "WebP"}.get(kind, kind)
        for orientation in range(1, 9):
            make = partial(_oriented, kind, orientation, **options)
            yield Probe(name, "orientations", str(orientation), make, tolerance)
    for bits in (1, 2, 4, 8, 16):
        yield Probe("PNG", "depths", f"{bits}-bit gray", partial(_png, bits, 0), 1)
    for bits in (8, 16):
        for color, name in ((2, "RGB"), (4, "gray with alpha"), (6, "RGB with alpha")):
            yield Probe("PNG", "depths", f"{bits}-bit {name}", partial(_png, bits, color), 1)
        for color, name in ((0, "gray"), (2, "RGB")):
            make = partial(_png_key, bits, color)
            yield Probe("PNG", "a transparent color", f"{bits}-bit {name}", make, 1)
    yield Probe("PNG", "palettes", "P", partial(_converted, "PNG", "P"))
    yield Probe("PNG", "palettes", "1", partial(_converted, "PNG", "1"))
    yield Probe("PNG", "written by OpenCV", "RGB", _interlaced)
    for mode in ("RGB", "RGBA"):
        make = partial(_pillow, "WEBP", mode, lossless=True, exact=True)
        yield Probe("WebP", "color models", f"{mode}, lossless", make)
        make = partial(_pillow, "WEBP", mode, lossy=True, quality=95)
        yield Probe("WebP", "color models", f"{mode}, lossy", make, 16)
    for mode in ("L", "P", "1"):
        yield Probe("GIF", "color models", mode, partial(_converted, "GIF", mode))
    for mode in ("1", "L", "P", "RGB"):
        yield Probe("BMP", "color models", mode, partial(_converted, "BMP", mode))


PROBES = [*_all()]
