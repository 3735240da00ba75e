"""PBM, PGM, PPM, PAM and PFM: samples after a header in text."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from outliers_bench.data.formats.composite import over_white
from outliers_bench.data.formats.depth import Samples, to_bytes
from outliers_bench.data.formats.headers import Header
from outliers_bench.errors import UnreadableImageError, UnsupportedImageError
from outliers_bench.types import RGB

KINDS = ("PNM", "PFM")
_HEADER_BYTES = 2**16  # with comments
_TEXT_BYTES = 2**22  # of samples in text that are parsed at once; each word is an object
_MAX_COMMENTS = 10_000  # behind the header
_BLANK = re.compile(rb"\s")
_TOKEN = rb"(?:\s|#[^\n\r]*[\n\r])*([^\s#]+)"
_TWO, _THREE = (re.compile(b".." + count * _TOKEN) for count in (2, 3))
_DAMAGED = "is a damaged or cut-short {}"


def read_header(data: bytes, kind: str) -> Header:
    """Read the size of an image.

    Raises
    ------
    UnreadableImageError
        If the header is damaged or cut short.
    """
    _, width, height, *_ = _parse(data, kind)
    return Header(kind, width, height)


def decode(data: bytes, header: Header, side: int | None) -> RGB:  # noqa: ARG001 - JPEG only
    """Decode the first image of the file at full size, over white.

    Raises
    ------
    UnsupportedImageError
        If a PAM file has samples of another kind than gray or color.
    UnreadableImageError
        If the image is damaged or cut short.
    """
    channels, width, height, top, start, magic = _parse(data, header.format)
    damaged = UnreadableImageError(_DAMAGED.format(header.format))
    count = width * height * channels
    if header.format == "PFM":
        kind = "<f4" if top < 0 else ">f4"
        if len(data) - start < 4 * count:
            raise damaged
        floats = np.frombuffer(data, kind, count, start).reshape(height, width, channels)[::-1]
        return _color(to_bytes(floats.astype(np.float32), bits=32))
    if magic in (b"P1", b"P4"):
        return _color(255 * (1 - _bits(data, start, (height, width), magic)[..., None]))
    samples = _samples(data, start, count, int(top), magic)
    if samples is None or samples.max(initial=0) > top:
        raise damaged
    image = samples.reshape(height, width, channels)
    color = image if channels in (1, 3) else image[..., :-1]
    if top > 255 and color.shape[2] == 1:
        color = to_bytes(color, bits=16)
    else:
        color = _scaled(color, int(top))
    rgb = _color(color)
    return rgb if channels in (1, 3) else over_white(rgb, _scaled(image[..., -1:], int(top)))


def _parse(data: bytes, kind: str) -> tuple[int, int, int, float, int, bytes]:
    """Return channels, width, height, largest value, position of the samples, and file type."""
    magic, head = data[:2], data[:_HEADER_BYTES]
    try:
        if magic == b"P7":
            end = head.index(b"ENDHDR\n") + 7
            fields = dict(line.split(maxsplit=1) for line in _two_words(head[:end]))
            width, height, top = (int(fields[key]) for key in (b"WIDTH", b"HEIGHT", b"MAXVAL"))
            channels, scale = int(fields[b"DEPTH"]), float(top)
            if channels > 4:
                raise UnsupportedImageError(f"is a PAM of {channels} channels, not supported")
        else:
            pattern = _TWO if magic in (b"P1", b"P4") else _THREE
            match = pattern.match(head)
            tokens, end = (match.groups(), match.end()) if match else ((b"",), 0)
            end += magic not in (b"P1", b"P2", b"P3")  # one blank before the samples
            width, height = int(tokens[0]), int(tokens[1])
            scale = float(tokens[2]) if len(tokens) == 3 else 1.0
            channels = 3 if magic in (b"P3", b"P6", b"PF") else 1
    except (ValueError, KeyError):
        raise UnreadableImageError(_DAMAGED.format(kind)) from None
    bad = kind == "PNM" and not 1 <= scale < 2**16
    if min(width, height, channels) < 1 or bad:
        raise UnreadableImageError(_DAMAGED.format(kind))
    return channels, width, height, scale, end, magic


def _two_words(head: bytes) -> Iterator[bytes]:
    return (line for line in head.splitlines() if len(line.split()) > 1)


def _bits(data: bytes, start: int, size: tuple[int, int], magic: bytes) -> Samples:
    height, width = size
    if magic == b"P4":
        row = -(-width // 8)
        if len(data) - start < row * height:
            raise UnreadableImageError(_DAMAGED.format("PNM"))
        flat = np.frombuffer(data, np.uint8, row * height, start).reshape(height, row)
        return np.unpackbits(flat, axis=1)[:, :width]
    digits = _without_comments(data[start:]).translate(None, b" \t\n\r\v\f")[: width * height]
    bits = np.frombuffer(digits, np.uint8) - ord("0")
    if len(bits) < width * height or bits.max(initial=0) > 1:
        raise UnreadableImageError(_DAMAGED.format("PNM"))
    return bits.reshape(height, width)


def _samples(data: bytes, start: int, count: int, top: int, magic: bytes) -> Samples | None:
    """Return unsigned samples in a row; None if there are too few."""
    if magic in (b"P2", b"P3"):
        return _parse_samples(_without_comments(data[start:]), count)
    kind = np.dtype(">u2" if top > 255 else "u1")
    if len(data) - start < count * kind.itemsize:
        return None
    return np.frombuffer(data, kind, count, start).astype(np.uint16)


def _parse_samples(text: bytes, count: int) -> Samples | None:
    """Return the first numbers of a text; None if there are too few, or they have over 16 bits."""
    if 2 * count > len(text) + 1:  # a digit and a blank each
        return None
    samples = np.empty(count, np.uint16)
    at = done = 0
    while done < count and at < len(text):
        blank = _BLANK.search(text, at + _TEXT_BYTES)
        end = blank.start() if blank else len(text)
        words = text[at:end].split()[: count - done]
        try:
            numbers = np.array(words, dtype=np.int64)
        except (ValueError, OverflowError):
            return None
        if numbers.min(initial=0) < 0 or numbers.max(initial=0) >= 2**16:
            return None
        samples[done : done + len(words)] = numbers
        at, done = end, done + len(words)
    return samples if done == count else None


def _without_comments(text: bytes) -> bytes:
    if text.count(b"#") > _MAX_COMMENTS:
        raise UnreadableImageError(f"is a PNM with more than {_MAX_COMMENTS:,} comments")
    return re.sub(rb"#[^\n\r]*", b"", text)


def _scaled(samples: Samples, top: int) -> Samples:
    table = ((np.arange(top + 1) * 510 + top) // (2 * top)).astype(np.uint8)
    return table[samples]


def _color(image: Samples) -> RGB:
    rgb: RGB = np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image
    return rgb.astype(np.uint8, copy=False)
