"""Probes of PNM, PAM, PFM, PCX, Photoshop, QOI and SGI."""

from __future__ import annotations

import struct
from functools import partial

import numpy as np
from PIL import Image

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
    stretched,
)


def open_with_opencv(data):
    import cv2

    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    return image[..., ::-1] if image.ndim == 3 else image


def _pnm(magic, top, *, comment=False):
    number = int(magic[1])
    channels = 3 if number in (3, 6) else 1
    array = noise(HEIGHT, WIDTH, channels, dtype="u2", high=top + 1)
    array[0, 0], array[0, 1] = 0, top
    head = f"{magic}\n{WIDTH} {HEIGHT}\n"
    if comment:
        head = f"{magic}\n# made by 12 34\n{WIDTH} # wide\n{HEIGHT}\n"
    if number in (1, 4):
        bits = 1 - array[..., 0]
        body = np.packbits(bits, axis=1).tobytes()
        if number == 1:
            body = "\n".join("".join(map(str, row)) for row in bits).encode()
        return Sample(head.encode() + body, rgb(array[..., 0] * 255))
    head += f"{top}\n"
    body = array.astype(">u2" if top > 255 else "u1").tobytes()
    if number < 4:
        body = " ".join(map(str, array.ravel())).encode()
    seen = array / top * 255
    if channels == 1:
        seen = rgb(stretched(array[..., 0]) if top > 255 else np.rint(seen[..., 0]))
    return Sample(head.encode() + body, seen)


def _pnm_by_pillow(mode):
    image = Image.fromarray(noise(HEIGHT, WIDTH, 3)).convert(mode)
    data = save(image, "PPM")
    seen = np.asarray(image.convert("RGB"))
    return Sample(data, seen, open_with_opencv(data) > 0, np.asarray(image).astype(int) > 0)


def _pam(kind, top):
    channels = {"GRAYSCALE": 1, "GRAYSCALE_ALPHA": 2, "RGB": 3, "RGB_ALPHA": 4}[kind]
    array = noise(HEIGHT, WIDTH, channels, dtype="u2", high=top + 1)
    head = f"P7\n# a comment\nWIDTH {WIDTH}\nHEIGHT {HEIGHT}\nDEPTH {channels}\nMAXVAL {top}\n"
    head += f"TUPLTYPE {kind}\nENDHDR\n"
    data = head.encode() + array.astype(">u2" if top > 255 else "u1").tobytes()
    share = array / top
    color = share[..., :3] * 255 if channels > 2 else share[..., :1].repeat(3, 2) * 255
    if channels < 3 and top > 255:
        color = rgb(stretched(array[..., 0]))
    return Sample(data, over_white(color, share[..., -1]) if channels in (2, 4) else color)


def _pfm(channels, order):
    array = noise(HEIGHT, WIDTH, channels, dtype="f4")
    scale = "-1.0" if order == "<" else "1.0"
    head = f"{'PF' if channels == 3 else 'Pf'}\n{WIDTH} {HEIGHT}\n{scale}\n"
    data = head.encode() + array[::-1].astype(order + "f4").tobytes()
    seen = stretched(array)
    return Sample(data, seen if channels == 3 else rgb(seen[..., 0]))


def _pillow(kind, mode, **options):
    stored, seen = picture(mode)
    data = save(Image.fromarray(stored, mode), kind, **options)
    return Sample(data, seen, open_with_pillow(data), stored)


def _converted(kind, mode):
    image = Image.fromarray(noise(HEIGHT, WIDTH, 3)).convert(mode)
    return Sample(save(image, kind), np.asarray(image.convert("RGB")))


def _qoi(channels):
    import imagecodecs

    array = noise(HEIGHT, WIDTH, channels)
    seen = array if channels == 3 else over_white(array[..., :3], array[..., 3] / 255)
    data = imagecodecs.qoi_encode(array)
    return Sample(data, seen, imagecodecs.qoi_decode(data), array)


def _sgi_wide_color():
    array = noise(HEIGHT, WIDTH, 3)
    head = struct.pack(">HBBHHHH", 474, 0, 2, 3, WIDTH, HEIGHT, 3).ljust(512, b"\0")
    planes = (array.astype(">u2") * 256 + 7).astype(">u2")[::-1].transpose(2, 0, 1)
    return Sample(head + planes.tobytes(), array)


def _sgi_wide_gray():
    return Sample(save(Image.fromarray(noise(HEIGHT, WIDTH)), "SGI", bpc=2), None)


def _photoshop(mode, channels, bits=8, *, merged=True, version=1):
    """A document without layers: header, colors, resources, layers, planes."""
    array = noise(HEIGHT, WIDTH, channels)
    number = {"L": 1, "RGB": 3, "CMYK": 4}[mode]
    data = struct.pack(">4sH6xHIIHH", b"8BPS", version, channels, HEIGHT, WIDTH, bits, number)
    # The version of Photoshop, and whether there is a picture of all layers.
    body = struct.pack(">IB", 1, merged) + bytes(8)
    resource = struct.pack(">4sHHI", b"8BIM", 1057, 0, len(body)) + body
    resource += bytes(len(resource) % 2)
    data += bytes(4) + struct.pack(">I", len(resource)) + resource + bytes(4) + struct.pack(">H", 0)
    data += array.transpose(2, 0, 1).tobytes() * (bits // 8)
    if bits > 8 or not merged or version > 1:
        return Sample(data, None)
    if mode == "CMYK":  # 255 is no ink
        share = array / 255
        return Sample(data, 255 * share[..., :3] * share[..., 3:4])
    return Sample(data, rgb(array[..., 0]) if mode == "L" else array[..., :3])


def _all():
    for top in (1, 15, 255, 1000, 4095, 65535):
        for magic in ("P2", "P3", "P5", "P6"):
            name = f"{magic}, largest value {top}"
            yield Probe("PNM", "largest values", name, partial(_pnm, magic, top), 1)
    for magic in ("P1", "P4"):
        yield Probe("PNM", "bits", magic, partial(_pnm, magic, 1))
    for magic in ("P1", "P2", "P3", "P4", "P5", "P6"):
        make = partial(_pnm, magic, 1 if magic in ("P1", "P4") else 255, comment=True)
        yield Probe("PNM", "comments", magic, make, 1)
    for mode in ("1", "L", "RGB"):
        yield Probe("PNM", "written by Pillow", mode, partial(_pnm_by_pillow, mode))
    for kind in ("GRAYSCALE", "GRAYSCALE_ALPHA", "RGB", "RGB_ALPHA"):
        for top in (255, 4095):
            make = partial(_pam, kind, top)
            yield Probe("PNM", "PAM", f"{kind}, largest value {top}", make, 1)
    for channels in (1, 3):
        for order in "<>":
            name = f"{channels} channels, {'little' if order == '<' else 'big'}-endian"
            yield Probe("PFM", "floats", name, partial(_pfm, channels, order), 1)
    for mode in ("L", "RGB"):
        yield Probe("PCX", "color models", mode, partial(_pillow, "PCX", mode))
    for mode in ("1", "P"):
        yield Probe("PCX", "color models", mode, partial(_converted, "PCX", mode))
    for channels in (3, 4):
        yield Probe(
            "QOI", "color models", f"{channels} channels", partial(_qoi, channels), 0, "formats"
        )
    for mode in ("L", "RGB", "RGBA"):
        yield Probe("SGI", "color models", mode, partial(_pillow, "SGI", mode))
    yield Probe("SGI", "color models", "16-bit RGB", _sgi_wide_color)
    yield Probe("SGI", "not decoded", "16-bit gray", _sgi_wide_gray)
    for mode, channels in (("L", 1), ("L", 2), ("RGB", 3), ("RGB", 4), ("RGB", 5), ("CMYK", 4)):
        make = partial(_photoshop, mode, channels)
        yield Probe("Photoshop", "color models", f"{mode}, {channels} channels", make, 1)
    for name, options in {
        "16 bits": {"bits": 16},
        "without a picture of all layers": {"merged": False},
        "large document": {"version": 2},
    }.items():
        make = partial(_photoshop, "RGB", 3, **options)
        yield Probe("Photoshop", "not decoded", name, make)


PROBES = [*_all()]
