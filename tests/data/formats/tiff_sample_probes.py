"""Probes of TIFF: number types, depths, color models, samples beyond color."""

from __future__ import annotations

from functools import partial

import numpy as np

from tests.data.formats.probes import (
    HEIGHT,
    WIDTH,
    Probe,
    Sample,
    noise,
    open_with_pillow,
    over_white,
    rgb,
    stretched,
)
from tests.data.formats.tiff_files import (
    SHORT,
    TEXT,
    by_hand,
    eight,
    packed,
    plain,
    read,
    write,
)


def _number(dtype, channels):
    shape = (HEIGHT, WIDTH, 3) if channels == 3 else (HEIGHT, WIDTH)
    array = (
        (noise(*shape, dtype="f8") * 40).astype(dtype)
        if dtype != "u2"
        else noise(*shape, dtype="u2")
    )
    if np.dtype(dtype).kind == "u":
        array = (noise(*shape, dtype="u1").astype(dtype)) * 3 + 7
    data = write(array, photometric="rgb" if channels == 3 else "minisblack")
    expected = stretched(array)
    return Sample(data, expected if channels == 3 else rgb(expected), read(data), array)


def _numbers():
    for dtype in ("i1", "i2", "i4", "i8", "u4", "u8", "f2", "f4", "f8"):
        for channels in (1, 3):
            name = f"{np.dtype(dtype)} {'RGB' if channels == 3 else 'gray'}"
            yield Probe(
                "TIFF", "signed, wide and float samples", name, partial(_number, dtype, channels), 1
            )


def _packed(bits, channels, order, *, reversed_bits=False):
    samples = noise(HEIGHT, WIDTH - 1, channels, dtype="u2", high=2**bits)
    body = packed(samples, bits)
    tags = plain(WIDTH - 1, bits=[bits] * channels, photometric=2 if channels == 3 else 1)
    if reversed_bits:
        body = bytes(int(f"{byte:08b}"[::-1], 2) for byte in body)
        tags[266] = (SHORT, [2])
    data = by_hand(body, tags, order=order)
    if channels == 3:
        expected = samples >> (bits - 8) if bits > 8 else samples * (255 // (2**bits - 1))
    elif bits <= 8:
        expected = rgb(samples[..., 0] * (255 // (2**bits - 1)))
    else:
        expected = rgb(stretched(samples[..., 0]))
    return Sample(data, expected)


def _depths():
    for bits in (1, 2, 4, 8, 10, 12, 14):
        for channels in (1, 3):
            name = f"{bits}-bit {'RGB' if channels == 3 else 'gray'}"
            yield Probe("TIFF", "packed samples", name, partial(_packed, bits, channels, "<"), 1)
    yield Probe(
        "TIFF", "packed samples", "12-bit gray, big-endian", partial(_packed, 12, 1, ">"), 1
    )
    for bits in (1, 4):
        make = partial(_packed, bits, 1, "<", reversed_bits=True)
        yield Probe("TIFF", "packed samples", f"{bits}-bit gray, bits reversed", make)


def _in_16(bits, channels):
    shape = (HEIGHT, WIDTH, 3) if channels == 3 else (HEIGHT, WIDTH)
    array = noise(*shape, dtype="u2", high=2**bits)
    data = write(array, photometric="rgb" if channels == 3 else "minisblack")
    expected = array >> (bits - 8) if channels == 3 else rgb(stretched(array))
    return Sample(data, expected, read(data), array)


def _thermal():
    """A hundredth of the range, a dead pixel and a hot one."""
    array = (noise(HEIGHT, WIDTH, dtype="u2", high=600) + 29500).astype("u2")
    array[3, 5], array[7, 9] = 0, 65535
    expected = rgb(stretched(array))
    assert 0.45 < expected.mean() / 255 < 0.55
    return Sample(write(array, photometric="minisblack"), expected)


def _own_range():
    for bits in (8, 10, 12, 14, 16):
        for channels in (1, 3):
            name = f"{bits} of 16 bits, {'RGB' if channels == 3 else 'gray'}"
            yield Probe("TIFF", "own range", name, partial(_in_16, bits, channels), channels == 1)
    yield Probe("TIFF", "own range", "thermal camera", _thermal, 1)
    yield Probe("TIFF", "own range", "one value", _constant)
    yield Probe("TIFF", "own range", "two dots on one value", _dots)
    yield Probe("TIFF", "own range", "NaN and infinite values", _not_finite, 1)
    yield Probe("TIFF", "own range", "declared missing values", _declared, 1)


def _constant():
    data = write(np.full((HEIGHT, WIDTH), 1234, "u2"), photometric="minisblack")
    return Sample(data, np.zeros((HEIGHT, WIDTH, 3)))


def _dots():
    array = np.full((HEIGHT, WIDTH), 1234, "u2")
    array[1, 2] = array[30, 40] = 5000
    return Sample(write(array, photometric="minisblack"), rgb(255 * (array == 5000)))


def _not_finite():
    array = noise(HEIGHT, WIDTH, dtype="f4")
    whole = array.copy()
    array[:, 0], array[:, 1], array[:, 2] = np.nan, np.inf, -np.inf
    whole = stretched(array)
    whole[:, 0], whole[:, 1], whole[:, 2] = 255, 255, 0
    return Sample(write(array, photometric="minisblack"), rgb(whole))


def _declared():
    array = noise(HEIGHT, WIDTH, dtype="i2", high=500)
    array = np.where(array < 0, -array // 100, array).astype("i2")
    expected = stretched(array)
    array[:20] = -32768
    inside = stretched(array[20:])
    expected = np.vstack([np.full((20, WIDTH), 255), inside])
    data = write(array, photometric="minisblack", extratags=[(42113, TEXT, 7, "-32768", True)])
    return Sample(data, rgb(expected))


def _white_is_zero(dtype):
    array = noise(HEIGHT, WIDTH, dtype=dtype)
    data = write(array, photometric="miniswhite")
    if dtype == "u1":
        return Sample(data, rgb(255 - array), open_with_pillow(data), 255 - array)
    return Sample(data, rgb(255 - stretched(array)))


def _bilevel(photometric):
    array = noise(HEIGHT, WIDTH) > 127
    data = write(array, photometric=photometric)
    white = array if photometric == "minisblack" else ~array
    return Sample(data, rgb(white * 255), open_with_pillow(data), white)


def _palette(bits, *, eight_bits=False):
    colors = noise(3, 2**bits, dtype="u2")
    if eight_bits:
        colors >>= 8
    indices = noise(HEIGHT, WIDTH, dtype="u2", high=2**bits)
    tags = plain(bits=[bits], photometric=3, t320=(SHORT, colors.ravel().tolist()))
    data = by_hand(packed(indices, bits), tags)
    table = (colors if eight_bits else colors >> 8).T
    seen = None if eight_bits or bits == 2 else open_with_pillow(data, "RGB")
    return Sample(data, table[indices], seen, table[indices])


def _cmyk(dtype):
    ink = noise(HEIGHT, WIDTH, 4, dtype=dtype)
    data = write(ink, photometric="separated")
    share = (ink >> 8 if dtype == "u2" else ink) / 255
    expected = 255 * (1 - share[..., :3]) * (1 - share[..., 3:])
    return Sample(data, expected, read(data), ink)


def _extra(kind, dtype, channels):
    array = noise(HEIGHT, WIDTH, channels, dtype=dtype, high=None)
    color = array[..., :-1]
    if kind == 1:
        color = np.minimum(color, array[..., -1:])
        array = np.concatenate([color, array[..., -1:]], 2)
    photometric = "rgb" if channels == 4 else "minisblack"
    data = write(array, photometric=photometric, extrasamples=[kind], planarconfig="contig")
    high = 8 if dtype == "u2" else 0
    color, alpha = (color >> high).astype(float), (array[..., -1] >> high) / 255
    if channels == 2:
        color = color.repeat(3, 2)
    if kind == 1:
        color = color + 255 * (1 - alpha[..., None])
    elif kind == 2:
        color = over_white(color, alpha)
    return Sample(data, color, read(data), array)


def _bands(count, dtype, photometric):
    array = noise(HEIGHT, WIDTH, count, dtype=dtype)
    options = {"extrasamples": [0] * (count - 3)} if photometric == "rgb" else {}
    data = write(array, photometric=photometric, planarconfig="contig", **options)
    expected = array[..., :3] if dtype == "u1" else eight(array[..., :3])
    return Sample(data, expected, read(data), array)


def _models():
    for dtype in ("u1", "u2"):
        make = partial(_white_is_zero, dtype)
        yield Probe("TIFF", "white is zero", f"{np.dtype(dtype)} gray", make, 1)
    for photometric in ("minisblack", "miniswhite"):
        yield Probe(
            "TIFF", "white is zero", f"1 bit, {photometric}", partial(_bilevel, photometric)
        )
    for bits in (1, 2, 4, 8):
        yield Probe("TIFF", "palettes", f"{bits} bits", partial(_palette, bits))
    yield Probe("TIFF", "palettes", "of 8-bit colors", partial(_palette, 8, eight_bits=True))
    for dtype in ("u1", "u2"):
        yield Probe("TIFF", "CMYK", str(np.dtype(dtype)), partial(_cmyk, dtype), 1)
        for kind, meaning in ((0, "no alpha"), (1, "premultiplied alpha"), (2, "alpha")):
            make = partial(_extra, kind, dtype, 4)
            yield Probe("TIFF", "a fourth sample", f"{meaning}, {np.dtype(dtype)}", make, 2)
        for photometric in ("rgb", "minisblack"):
            for count in (3, 5, 8):
                make = partial(_bands, count, dtype, photometric)
                name = f"{count} bands, {photometric}, {np.dtype(dtype)}"
                yield Probe("TIFF", "bands beyond color", name, make)
    for kind, meaning in ((0, "no alpha"), (1, "premultiplied alpha"), (2, "alpha")):
        make = partial(_extra, kind, "u1", 2)
        yield Probe("TIFF", "a fourth sample", f"gray, {meaning}", make, 2)


PROBES = [*_numbers(), *_depths(), *_own_range(), *_models()]
