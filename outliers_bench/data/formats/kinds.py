"""Kinds of image files, recognized by their first bytes."""

from __future__ import annotations

import re
from importlib.util import find_spec

HEAD = 512  # bytes of a file that `kind_of` needs

# fmt: off
_SIGNATURES = (
    (rb"\xff\xd8\xff", "JPEG"),
    (rb"\x89PNG\r\n\x1a\n", "PNG"),
    (rb"RIFF....WEBP", "WebP"),
    (rb"GIF8[79]a", "GIF"),
    # The size of the second header; text that begins with BM is no image.
    (rb"BM.{12}[\x0c\x10\x28\x34\x38\x40\x6c\x7c]\0\0\0", "BMP"),
    (rb"(?:II\*\0|MM\0\*)....(?:....)?CR\x02", "Canon raw"),
    (rb"II\*\0|MM\0\*|II\+\0\x08\0|MM\0\+\0\x08", "TIFF"),
    (rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
    (rb"\xff\x4f\xff\x51|\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
    (rb"....ftypcrx ", "Canon raw"),
    (rb"....ftyp(?:avif|avis)|....ftyp(?:mif1|msf1|miaf)....(?:....)*?avi[fs]", "AVIF"),
    (rb"....ftyp(?:hei[cxms]|hev[cxms]|mif1|msf1)", "HEIF"),
    (rb"FUJIFILMCCD-RAW", "Fujifilm raw"),
    (rb"IIRO|IIRS|MMOR", "Olympus raw"),
    (rb"IIU\0", "Panasonic raw"),
    (rb"FOVb", "Sigma raw"),
    (rb"\0MRM", "Minolta raw"),
    (rb"8BPS", "Photoshop"),
    (rb"gimp xcf", "GIMP"),
    (rb"v/1\x01", "OpenEXR"),
    (rb"\0\0[\x01\x02]\0[^\0]\0", "icon"),
    (rb"icns", "icon"),
    (rb"P[1-6]\s+(?:#[^\n]*\n\s*)*\d+(?:\s+\d|\s*#)|P7\n", "PNM"),
    (rb"P[fF]\s+\d+\s", "PFM"),
    (rb"#\?(?:RADIANCE|RGBE)", "Radiance HDR"),
    # With the number of planes, since serialized messages begin alike.
    (rb"\x0a[\0\2-\5][\0\1][\1\2\4\x08].{61}[\1-\4]", "PCX"),
    (rb"DDS ", "DDS"),
    (rb"qoif", "QOI"),
    (rb"\x01\xda[\0\x01][\x01\x02]", "SGI"),
    (rb"SIMPLE  =", "FITS"),
    (rb".{128}DICM", "DICOM"),
    (rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*(?:<!DOCTYPE svg[^>]*>\s*)?"
     rb"<svg", "SVG"),
)
# fmt: on
# One pattern, since all files of other endings are compared with it; its groups are the kinds.
_PATTERN = re.compile(b"|".join(b"(" + pattern + b")" for pattern, _ in _SIGNATURES), re.DOTALL)

EXTRA = {"HEIF": "pillow_heif", "JPEG XL": "imagecodecs"}
"""Modules that decode a kind, which the extra `formats` installs."""

_ALWAYS = ("JPEG", "PNG", "WebP", "GIF", "BMP", "TIFF", "AVIF", "JPEG 2000", "PNM", "PFM", "PCX")
DECODED = frozenset(
    (
        *(*_ALWAYS, "Photoshop", "QOI", "SGI"),
        *(kind for kind, module in EXTRA.items() if find_spec(module)),
    )
)
"""Kinds that `decode.decode` reads here. Images of other kinds are excluded as unsupported."""


def kind_of(head: bytes) -> str | None:
    """Return the kind of an image file from its first `HEAD` bytes; None if it is no image.

    Examples
    --------
    >>> kind_of(b"GIF89a..."), kind_of(bytes(4) + b"ftypheic"), kind_of(b"path,label")
    ('GIF', 'HEIF', None)
    """
    match = _PATTERN.match(head)
    return None if match is None or match.lastindex is None else _SIGNATURES[match.lastindex - 1][1]
