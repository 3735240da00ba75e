"""Probes of TIFF: compressions, layouts, orientations, pages, writers."""

from __future__ import annotations

from functools import partial

import numpy as np

from tests.data.encoded_images import STORED
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
from tests.data.formats.tiff_files import (
    LONG,
    SHORT,
    TEXT,
    by_hand,
    eight,
    plain,
    read,
    write,
)

_KINDS = {
    "8-bit RGB": (partial(noise, HEIGHT, WIDTH, 3), "rgb", lambda a: a),
    "8-bit gray": (partial(noise, HEIGHT, WIDTH), "minisblack", rgb),
    "16-bit RGB": (partial(noise, HEIGHT, WIDTH, 3, dtype="u2"), "rgb", eight),
    "16-bit gray": (
        partial(noise, HEIGHT, WIDTH, dtype="u2", high=4096),
        "minisblack",
        lambda a: rgb(stretched(a)),
    ),
    "32-bit float gray": (
        partial(noise, HEIGHT, WIDTH, dtype="f4"),
        "minisblack",
        lambda a: rgb(stretched(a)),
    ),
}


def _kind(kind, **options):
    make, photometric, expected = _KINDS[kind]
    array = make()
    stored = array
    if options.get("planarconfig") == "separate":
        stored = np.ascontiguousarray(np.moveaxis(array, 2, 0))
    data = write(stored, photometric=photometric, **options)
    return Sample(data, expected(array), read(data), stored)


def _compressions():
    for compression in ("none", "deflate", "lzma", "lzw", "packbits", "zstd"):
        for kind in _KINDS:
            extra = None if compression in ("none", "deflate") else "formats"
            options = {} if compression == "none" else {"compression": compression}
            make = partial(_kind, kind, **options)
            tolerance = 0 if kind.startswith("8") or "RGB" in kind else 1
            yield Probe("TIFF", f"compression {compression}", kind, make, tolerance, extra)
            # Several strips, the last one shorter, with an odd number of bytes in some.
            make = partial(_kind, kind, rowsperstrip=7, **options)
            yield Probe(
                "TIFF", f"compression {compression}", f"{kind}, strips", make, tolerance, extra
            )
    for compression in ("deflate", "lzw", "zstd"):
        for kind in _KINDS:
            predictor = 3 if "float" in kind else 2
            options = {"compression": compression, "predictor": predictor, "rowsperstrip": 10}
            yield Probe(
                "TIFF",
                "predictors",
                f"{compression}, {kind}",
                partial(_kind, kind, **options),
                1,
                "formats",
            )


def _layouts():
    layouts = {
        "big-endian": {"byteorder": ">"},
        "BigTIFF": {"bigtiff": True},
        "BigTIFF, big-endian": {"bigtiff": True, "byteorder": ">"},
        "tiles": {"tile": (16, 32)},
        "tiles beyond the edge": {"tile": (32, 48)},
        "BigTIFF, tiles": {"bigtiff": True, "tile": (32, 48)},
    }
    planar = {
        "planes": {"planarconfig": "separate"},
        "planes in strips": {"planarconfig": "separate", "rowsperstrip": 7},
        "planes in tiles": {"planarconfig": "separate", "tile": (32, 48)},
    }
    for kind in _KINDS:
        for name, options in (layouts | (planar if "RGB" in kind else {})).items():
            yield Probe("TIFF", "layouts", f"{name}, {kind}", partial(_kind, kind, **options), 1)


def _oriented(orientation, channels, dtype):
    shape = (HEIGHT, WIDTH, channels) if channels > 1 else (HEIGHT, WIDTH)
    upright = noise(*shape, dtype=dtype)
    stored = np.ascontiguousarray(STORED[orientation](upright))
    options = {"extrasamples": ["unassalpha"]} if channels == 4 else {}
    data = write(
        stored,
        photometric="rgb" if channels > 1 else "minisblack",
        extratags=[(274, SHORT, 1, orientation, True)],
        **options,
    )
    expected = upright
    if channels == 4:
        expected = over_white(upright[..., :3], upright[..., 3] / 255)
    elif dtype == "u2":
        expected = rgb(stretched(upright))
    return Sample(data, expected, read(data), stored)


def _orientations():
    for orientation in range(1, 9):
        for name, channels, dtype in (
            ("8-bit RGB", 3, "u1"),
            ("16-bit gray", 1, "u2"),
            ("8-bit RGB with alpha", 4, "u1"),
        ):
            make = partial(_oriented, orientation, channels, dtype)
            yield Probe("TIFF", "orientations", f"{orientation}, {name}", make, 1)


def _jpeg(photometric, subsampling):
    array = smooth(channels=1 if photometric == "minisblack" else 3).astype(np.uint8)
    options = {"subsampling": subsampling} if subsampling else {}
    data = write(
        array,
        photometric=photometric,
        compression="jpeg",
        compressionargs={"level": 95},
        rowsperstrip=16,
        **options,
    )
    # tifffile writes YCbCr samples as they are.
    expected = open_with_pillow(data, "RGB") if photometric == "ycbcr" else array
    return Sample(data, expected if expected.ndim == 3 else rgb(expected))


def _pillow(image, mode, **options):
    from PIL import Image

    data = save(Image.fromarray(image).convert(mode), "TIFF", **options)
    return Sample(data, open_with_pillow(data, "RGB"))


def _opencv(dtype):
    import cv2

    array = noise(HEIGHT, WIDTH, 3, dtype=dtype)
    data = cv2.imencode(".tif", array[..., ::-1])[1].tobytes()
    return Sample(data, array if dtype == "u1" else eight(array), read(data), array)


def _writers():
    for photometric, subsampling in (
        ("minisblack", None),
        ("rgb", None),
        ("ycbcr", (1, 1)),
        ("ycbcr", (2, 2)),
    ):
        name = f"{photometric}, {subsampling or 'full'} color"
        make = partial(_jpeg, photometric, subsampling)
        yield Probe("TIFF", "JPEG within (lossy)", name, make, 8, "formats")
    image = noise(HEIGHT, WIDTH, 3)
    for compression in ("group3", "group4", "tiff_lzw", "packbits", "tiff_ccitt"):
        make = partial(_pillow, image, "1", compression=compression)
        yield Probe("TIFF", "written by Pillow", f"1 bit, {compression}", make)
    for compression in ("raw", "tiff_lzw", "packbits", "tiff_adobe_deflate", "jpeg"):
        for mode in ("RGB", "L", "CMYK") if compression == "jpeg" else ("RGB", "L", "P", "CMYK"):
            picture = smooth().astype(np.uint8) if compression == "jpeg" else image
            make = partial(_pillow, picture, mode, compression=compression)
            tolerance = 3 if compression == "jpeg" else 1
            yield Probe("TIFF", "written by Pillow", f"{mode}, {compression}", make, tolerance)
    for dtype in ("u1", "u2"):
        make = partial(_opencv, dtype)  # in LZW, which tifffile reads by imagecodecs
        yield Probe("TIFF", "written by OpenCV", f"RGB, {np.dtype(dtype)}", make, 0, "formats")


def _pages(first):
    """A reduced copy or a mask before the full picture."""
    array = noise(HEIGHT, WIDTH)
    small = plain(8, 8, t254=(LONG, [first]))
    data = by_hand(array.tobytes(), small, more=[plain()])
    return Sample(data, rgb(array))


def _first_of_two():
    array = noise(2, HEIGHT, WIDTH)
    data = write(array, photometric="minisblack")
    return Sample(data, rgb(array[0]), read(data), array[0])


def _raw(tags):
    return Sample(by_hand(noise(HEIGHT, WIDTH).tobytes(), plain() | tags), None)


def _canon():
    """CR2, whose first page is a preview as JPEG."""
    return Sample(by_hand(b"CR\2\0" + noise(HEIGHT, WIDTH).tobytes(), plain()), None)


def _several_pages():
    yield Probe("TIFF", "several pages", "a thumbnail first", partial(_pages, 1))
    yield Probe("TIFF", "several pages", "a mask first", partial(_pages, 4))
    yield Probe("TIFF", "several pages", "two pictures", _first_of_two)
    make = {271: (TEXT, list(b"NIKON\0"))}
    for name, tags in {
        "DNG": {50706: (1, [1, 4, 0, 0])},
        "a camera's thumbnail": make | {254: (LONG, [1]), 330: (LONG, [8])},
        "a color filter array": {262: (SHORT, [32803])},
    }.items():
        yield Probe("TIFF", "raw data", name, partial(_raw, tags))
    yield Probe("TIFF", "raw data", "CR2", _canon)


def _unsupported(compression, **options):
    return Sample(write(noise(HEIGHT, WIDTH, 3), compression=compression, **options), None)


def _lab():
    return Sample(write(noise(HEIGHT, WIDTH, 3), photometric="cielab"), None)


def _others():
    for compression in ("webp", "lerc", "jpeg2000", "jpegxl", "png"):
        make = partial(_unsupported, compression, photometric="rgb")
        yield Probe("TIFF", "not decoded", compression, make, 0, "formats")
    yield Probe("TIFF", "not decoded", "Lab", _lab)


PROBES = [
    *(*_compressions(), *_layouts(), *_orientations()),
    *(*_writers(), *_several_pages(), *_others()),
]
