"""Probes of AVIF, HEIF, JPEG XL and JPEG 2000."""

from __future__ import annotations

import io
from functools import partial

import numpy as np
from PIL import Image

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


def picture(mode, *, lossy=False):
    """Pixels of a mode of Pillow, and what they look like over white."""
    channels = len(mode)
    array = noise(HEIGHT, WIDTH, channels)
    if lossy:
        array = smooth(channels=channels).reshape(HEIGHT, WIDTH, channels).astype(np.uint8)
    stored = array[..., 0] if channels == 1 else array
    color = array[..., :3] if channels > 2 else array[..., :1].repeat(3, 2)
    seen = color if channels in (1, 3) else over_white(color, array[..., -1] / 255)
    return stored, seen


def _pillow(kind, mode, *, lossy=False, read=None, **options):
    stored, seen = picture(mode, lossy=lossy)
    data = save(Image.fromarray(stored, mode), kind, **options)
    return Sample(data, seen, None if read is None else read(data), stored)


def _oriented(kind, orientation, **options):
    """The writers store an EXIF orientation as a rotation and a mirroring."""
    exif = Image.Exif()
    exif[0x112] = orientation
    stored = smooth().astype(np.uint8)
    # Upright by hand: transposed for 5 to 8, then mirrored.
    upright = stored.swapaxes(0, 1) if orientation > 4 else stored
    upright = upright[:, ::-1] if orientation in (2, 3, 6, 7) else upright
    upright = upright[::-1] if orientation in (3, 4, 7, 8) else upright
    return Sample(save(stored, kind, exif=exif.tobytes(), **options), upright)


def _several(kind, *, primary=0, **options):
    first, second = smooth().astype(np.uint8), 255 - smooth().astype(np.uint8)
    if primary:
        options["primary_index"] = primary
    data = save(first, kind, save_all=True, append_images=[Image.fromarray(second)], **options)
    return Sample(data, second if primary else first)


def _opencv_avif(bits):
    import cv2

    top = 2**bits - 1
    array = smooth(top=top).astype(np.uint16 if bits > 8 else np.uint8)
    options = [cv2.IMWRITE_AVIF_DEPTH, bits, cv2.IMWRITE_AVIF_QUALITY, 100]
    data = cv2.imencode(".avif", array[..., ::-1], options)[1].tobytes()
    return Sample(data, array / top * 255)


def avif():
    best = {"quality": 100, "subsampling": "4:4:4"}
    for mode in ("L", "RGB", "RGBA"):
        make = partial(_pillow, "AVIF", mode, **(best if mode != "L" else {"quality": 100}))
        yield Probe("AVIF", "color models (lossy)", f"{mode}, full color", make, 4)
    for subsampling in ("4:2:0", "4:2:2"):
        make = partial(_pillow, "AVIF", "RGB", lossy=True, quality=90, subsampling=subsampling)
        yield Probe("AVIF", "color models (lossy)", f"RGB, {subsampling}", make, 12)
    for orientation in range(1, 9):
        make = partial(_oriented, "AVIF", orientation, **best)
        yield Probe("AVIF", "orientations", str(orientation), make, 4)
    for bits in (8, 10, 12):
        make = partial(_opencv_avif, bits)
        yield Probe("AVIF", "depths (lossy)", f"{bits} bits by OpenCV", make, 6)
    yield Probe("AVIF", "several images", "sequence", partial(_several, "AVIF", **best), 4)


def _heif(make, *arguments, **options):
    import pillow_heif

    pillow_heif.register_heif_opener()
    return make("HEIF", *arguments, **options)


def _heif_bits(bits, channels):
    import pillow_heif

    mode = {1: "L;16", 3: "RGB;16", 4: "RGBA;16"}[channels]
    array = smooth(channels=channels, top=65535).astype(np.uint16)
    file = pillow_heif.from_bytes(mode, (WIDTH, HEIGHT), array.tobytes())
    stream = io.BytesIO()
    file.save(stream, quality=-1, chroma=444, matrix_coefficients=0, save_to_12bit=bits == 12)
    seen = array / 257
    if channels == 4:
        seen = over_white(seen[..., :3], seen[..., 3] / 255)
    return Sample(stream.getvalue(), seen if channels > 1 else rgb(np.rint(seen)))


def heif():
    best = {"quality": -1, "chroma": 444, "matrix_coefficients": 0}
    for mode in ("L", "RGB", "RGBA"):
        make = partial(_heif, _pillow, mode, read=open_with_pillow, **best)
        yield Probe("HEIF", "color models", mode, make, 0, "formats")
    make = partial(_heif, _pillow, "RGB", lossy=True, quality=90)
    yield Probe("HEIF", "color models", "RGB, 4:2:0, lossy", make, 12, "formats")
    for orientation in range(1, 9):
        make = partial(_heif, _oriented, orientation, **best)
        yield Probe("HEIF", "orientations", str(orientation), make, 0, "formats")
    for bits in (10, 12):
        for channels in (1, 3, 4):
            make = partial(_heif_bits, bits, channels)
            yield Probe("HEIF", "depths", f"{bits} bits, {channels} channels", make, 2, "formats")
    for primary in (0, 1):
        make = partial(_heif, _several, primary=primary, **best)
        yield Probe("HEIF", "several images", f"primary {primary}", make, 0, "formats")


def _jpeg_xl(dtype, channels, **options):
    import imagecodecs

    array = noise(HEIGHT, WIDTH, channels, dtype=dtype)
    if dtype == "f4":
        array = ((array + 3) / 8).astype("f4")
    stored = array[..., 0] if channels == 1 else array
    data = imagecodecs.jpegxl_encode(stored, lossless=True, **options)
    color = array[..., :3] if channels > 2 else array[..., :1]
    if dtype == "u2":
        alpha = (array[..., -1] >> 8) / 255
        color = stretched(color) if channels < 3 else color >> 8
    elif dtype == "f4":
        alpha, color = array[..., -1], stretched(color)
    else:
        alpha = array[..., -1] / 255
    color = color.repeat(3, 2) if color.shape[2] == 1 else color
    seen = over_white(color, alpha) if channels in (2, 4) else color
    return Sample(data, seen, imagecodecs.jpegxl_decode(data), stored)


def _jpeg_xl_lossy():
    import imagecodecs

    array = smooth().astype(np.uint8)
    return Sample(imagecodecs.jpegxl_encode(array, distance=0.1), array)


def _jpeg_xl_frames():
    import imagecodecs

    array = noise(3, HEIGHT, WIDTH, 3)
    return Sample(imagecodecs.jpegxl_encode(array, lossless=True), array[0])


def _jpeg_xl_size(height, width):
    import imagecodecs

    array = noise(height, width, 3)
    return Sample(imagecodecs.jpegxl_encode(array, lossless=True), array)


def jpeg_xl():
    for dtype in ("u1", "u2", "f4"):
        for channels in (1, 2, 3, 4):
            make = partial(_jpeg_xl, dtype, channels)
            name = f"{np.dtype(dtype)}, {channels} channels"
            yield Probe("JPEG XL", "number types", name, make, 1, "formats")
    make = partial(_jpeg_xl, "u1", 3, usecontainer=True)
    yield Probe("JPEG XL", "containers", "8-bit RGB", make, 0, "formats")
    yield Probe("JPEG XL", "lossy", "8-bit RGB", _jpeg_xl_lossy, 16, "formats")
    yield Probe("JPEG XL", "several images", "animation", _jpeg_xl_frames, 0, "formats")
    for size in ((40, 40), (40, 48), (60, 80), (50, 75), (90, 160), (513, 7), (7, 9000), (30, 60)):
        make = partial(_jpeg_xl_size, *size)
        yield Probe("JPEG XL", "sizes in the header", f"{size[1]} x {size[0]}", make, 0, "formats")


def _jp2_bits(bits, channels, **options):
    import imagecodecs

    dtype = "u1" if bits == 8 else "u2"
    array = noise(HEIGHT, WIDTH, channels, dtype="u2", high=2**bits).astype(dtype)
    stored = array[..., 0] if channels == 1 else array
    data = imagecodecs.jpeg2k_encode(
        stored, level=0, reversible=True, bitspersample=bits, **options
    )
    seen = array[..., :3] >> (bits - 8)
    if channels == 1:
        seen = rgb(stored if bits == 8 else stretched(stored))
    return Sample(data, seen, imagecodecs.jpeg2k_decode(data), stored)


def _opencv_jp2(dtype):
    import cv2

    array = noise(HEIGHT, WIDTH, 3, dtype=dtype)
    options = [cv2.IMWRITE_JPEG2000_COMPRESSION_X1000, 1000]
    data = cv2.imencode(".jp2", array[..., ::-1], options)[1].tobytes()
    return Sample(data, array if dtype == "u1" else array >> 8)


def _jp2_refused(mode, **options):
    image = Image.fromarray(noise(HEIGHT, WIDTH, 3)).convert(mode)
    return Sample(save(image, "JPEG2000", **options), None)


def jpeg_2000():
    for mode in ("L", "RGB", "RGBA"):
        make = partial(_pillow, "JPEG2000", mode, read=open_with_pillow)
        yield Probe("JPEG 2000", "color models", mode, make)
    for name, options in {
        "codestream without a file": {"no_jp2": True},
        "tiles": {"tile_size": (32, 32)},
        "five progressions": {"progression": "RPCL"},
    }.items():
        make = partial(_pillow, "JPEG2000", "RGB", read=open_with_pillow, **options)
        yield Probe("JPEG 2000", "layouts", name, make)
    make = partial(_pillow, "JPEG2000", "RGB", lossy=True, quality_mode="dB", quality_layers=[45])
    yield Probe("JPEG 2000", "lossy", "RGB", make, 16)
    for bits in (8, 10, 12, 16):
        for channels in (1, 3, 4):
            make = partial(_jp2_bits, bits, channels)
            tolerance = int(channels == 1)
            name = f"{bits} bits, {channels} channels without alpha"
            yield Probe("JPEG 2000", "depths", name, make, tolerance, "formats")
    for dtype in ("u1", "u2"):
        make = partial(_opencv_jp2, dtype)
        yield Probe("JPEG 2000", "depths", f"{np.dtype(dtype)} RGB by OpenCV", make)
    for name, mode, options in (
        ("YCbCr", "YCbCr", {}),
        ("gray with alpha", "LA", {}),
        ("an offset", "RGB", {"offset": (16, 8), "tile_size": (32, 32)}),
    ):
        make = partial(_jp2_refused, mode, **options)
        yield Probe("JPEG 2000", "not decoded", name, make)


PROBES = [*avif(), *heif(), *jpeg_xl(), *jpeg_2000()]
