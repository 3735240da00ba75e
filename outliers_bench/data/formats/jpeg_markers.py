"""Markers of JPEG files: what the segments say about the image, without decoding it."""

from __future__ import annotations

import re
import struct
from typing import NamedTuple

from outliers_bench.errors import UnreadableImageError

SEQUENTIAL, PROGRESSIVE = (0xC0, 0xC1), 0xC2  # start-of-frame markers
MAX_SCANS = 100
"""Maximum number of scans. Photos have about 10, and 18 in CMYK."""
MAX_SCANNED = 2**32
"""Maximum product of pixels and scans: each scan is a pass over all pixels, about 0.3 s for 2**27.

A few bytes can code a whole scan, so the size of the file limits nothing."""
MAX_SEGMENTS = 10_000
"""Maximum number of segments. Photos have about 10, and one for each 64 KiB of metadata."""

_SEGMENT = re.compile(rb"\xff[^\x00\x01\xd0-\xd8\xff]", re.DOTALL)
_NOT_IN_A_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)
_COEFFICIENTS = 64
_TOO_MANY_SEGMENTS = f"is a JPEG with more than {MAX_SEGMENTS:,} segments"
_MISSING = 99  # more than any number of bits that a scan can leave for later


class Markers(NamedTuple):
    """Segments of a JPEG up to its first scan."""

    width: int  # pixels as stored
    height: int
    bits: int  # per sample
    frame: int  # marker of the frame header, which says how the samples are coded
    components: tuple[int, ...]  # identifiers of the color components
    segments: tuple[tuple[int, int], ...]  # start and end of each before the first scan
    scan: int  # offset of the first scan header
    exif: bytes
    profile: bytes  # ICC
    interleaved: int  # number of components in the first scan


def read_markers(data: bytes) -> Markers:
    """Walk the segments to the first scan; a thumbnail in a segment has its own end marker.

    Raises
    ------
    UnreadableImageError
        If there is no scan, or too many segments.
    struct.error or IndexError
        If a segment is cut short.
    """
    width = height = bits = frame = 0
    components: tuple[int, ...] = ()
    segments: list[tuple[int, int]] = []
    exif, profile = b"", {}
    at = 2
    while True:
        found = _SEGMENT.search(data, at)
        if found is None:
            raise UnreadableImageError("is a JPEG cut short")
        at = found.start()
        marker = data[at + 1]
        if len(segments) > MAX_SEGMENTS:
            raise UnreadableImageError(_TOO_MANY_SEGMENTS)
        if marker == 0xD9:
            raise UnreadableImageError("is a JPEG without a picture in it")
        (length,) = struct.unpack_from(">H", data, at + 2)
        end = at + 2 + length
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            frame = marker
            bits, height, width, count = struct.unpack_from(">BHHB", data, at + 4)
            components = tuple(data[at + 10 + 3 * each] for each in range(count))
        elif marker == 0xE1 and not exif and data[at + 4 : at + 10] == b"Exif\0\0":
            exif = data[at + 4 : end]
        elif marker == 0xE2 and data[at + 4 : at + 16] == b"ICC_PROFILE\0":
            profile[data[at + 16]] = data[at + 18 : end]  # by its number, from 1
        elif marker == 0xDA:
            icc = b"".join(part for _, part in sorted(profile.items()))
            struct.unpack_from(">BBB", data, end - 3)
            return Markers(
                *(width, height, bits, frame, components),
                *(tuple(segments), at, exif, icc, data[at + 4]),
            )
        segments.append((at, end))
        at = end


def has_one_scan(markers: Markers) -> bool:
    """Check whether the first scan brings everything, so that no other may follow."""
    return markers.frame != PROGRESSIVE and markers.interleaved >= len(markers.components)


def check_scans(data: bytes, markers: Markers) -> None:
    """Check the scans of a JPEG that can have more than one; see `find_end`."""
    if not has_one_scan(markers):  # the faults of a single scan show in decoding
        find_end(data, markers)


def find_end(data: bytes, markers: Markers) -> int:
    """Return the offset of the end marker, and check that no scan is missing.

    Raises
    ------
    UnreadableImageError
        If the file ends within a scan, has too many scans, or not all bits of all coefficients of
        all components.
    """
    # The number of low bits that are not coded yet.
    left = {each: [_MISSING] * _COEFFICIENTS for each in markers.components}
    try:
        end = _walk_scans(data, markers, left)
    except (struct.error, IndexError):
        raise UnreadableImageError("is a JPEG cut short") from None
    if any(map(any, left.values())):
        raise UnreadableImageError("is a damaged JPEG (scans are missing)")
    return end


def _walk_scans(data: bytes, markers: Markers, left: dict[int, list[int]]) -> int:
    """Note in `left` what the scans bring, and return the offset of the end marker."""
    at, scans, segments = markers.scan, 0, 0
    most = min(MAX_SCANS, MAX_SCANNED // max(1, markers.width * markers.height))
    while data[at + 1] != 0xD9:
        (length,) = struct.unpack_from(">H", data, at + 2)
        end = at + 2 + length
        segments += 1
        if segments > MAX_SEGMENTS:
            raise UnreadableImageError(_TOO_MANY_SEGMENTS)
        if data[at + 1] == 0xDA:
            scans += 1
            if scans > most:
                size = f" of {markers.width} x {markers.height} pixels" * (most < MAX_SCANS)
                raise UnreadableImageError(f"is a JPEG{size} with more than {most} scans")
            first, last, bits = struct.unpack_from("BBB", data, end - 3)
            if markers.frame != PROGRESSIVE:
                first, last, bits = 0, _COEFFICIENTS - 1, 0
            for each in range(data[at + 4]):
                component = left.get(data[at + 5 + 2 * each], [])
                component[first : last + 1] = [bits & 15] * len(component[first : last + 1])
        found = _NOT_IN_A_SCAN.search(data, end)
        if found is None:
            raise UnreadableImageError("is a JPEG cut short")
        at = found.start()
    return at
