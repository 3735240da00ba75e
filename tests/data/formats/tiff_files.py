"""TIFF files written by tifffile and by hand."""

from __future__ import annotations

import io
import struct

import numpy as np

from tests.data.formats.probes import HEIGHT, WIDTH

SHORT, LONG, TEXT, LONG8 = 3, 4, 2, 16


def write(array, **options):
    import tifffile

    stream = io.BytesIO()
    tifffile.imwrite(stream, array, **options)
    return stream.getvalue()


def read(data):
    import tifffile

    return tifffile.imread(io.BytesIO(data), key=0)


def by_hand(body, tags, *, order="<", big=False, more=()):
    """A file of one strip by hand; `more` are the tags of further pages of the same strip."""
    head, word, code = (16, 8, LONG8) if big else (8, 4, LONG)
    data = bytearray(
        (b"II" if order == "<" else b"MM")
        + (struct.pack(order + "HHHQ", 43, 8, 0, 0) if big else struct.pack(order + "HI", 42, 0))
        + body
    )
    link = head - word
    for own in (tags, *more):
        page = {273: (code, [head]), 279: (code, [len(body)]), **own}
        entries = b""
        for tag, (kind, values) in sorted(page.items()):
            letter = {1: "B", 2: "B", 3: "H", 4: "I", 7: "B", 13: "I", 16: "Q"}[kind]
            packed = struct.pack(f"{order}{len(values)}{letter}", *values)
            if len(packed) > word:
                data += bytes(len(data) % 2)
                packed, at = b"", len(data)
                data += struct.pack(f"{order}{len(values)}{letter}", *values)
                packed = struct.pack(order + ("Q" if big else "I"), at)
            entries += struct.pack(order + ("HHQ" if big else "HHI"), tag, kind, len(values))
            entries += packed.ljust(word, b"\0")
        data += bytes(len(data) % 2)
        struct.pack_into(order + ("Q" if big else "I"), data, link, len(data))
        data += struct.pack(order + ("Q" if big else "H"), len(page)) + entries
        link = len(data)
        data += bytes(word)
    return bytes(data)


def plain(width=WIDTH, height=HEIGHT, *, bits=(8,), photometric=1, **others):
    """Tags of an uncompressed page."""
    tags = {
        256: (LONG, [width]),
        257: (LONG, [height]),
        258: (SHORT, list(bits)),
        259: (SHORT, [1]),
        262: (SHORT, [photometric]),
        277: (SHORT, [len(bits)]),
        278: (LONG, [height]),
    }
    return tags | {int(tag.removeprefix("t")): value for tag, value in others.items()}


def packed(samples, bits):
    """Samples of any number of bits, rows padded to bytes."""
    each = (samples[..., None].astype(int) >> np.arange(bits - 1, -1, -1)) & 1
    return np.packbits(each.reshape(len(samples), -1).astype(np.uint8), axis=1).tobytes()


def eight(samples):
    """8-bit color of samples of 16 bits."""
    return (samples >> 8).astype(np.uint8)
