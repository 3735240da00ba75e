"""Kinds of image files by the endings of their names."""

from __future__ import annotations

CAMERA_RAW = "camera raw"
"""Kind of files that begin like a TIFF, whose first picture is a thumbnail."""

_ENDINGS = {
    "JPEG": ".jfif .jpe .jpeg .jpg",
    "PNG": ".png",
    "WebP": ".webp",
    "GIF": ".gif",
    "BMP": ".bmp",
    "TIFF": ".tif .tiff",
    "HEIF": ".heic .heics .heif .hif",
    "AVIF": ".avif",
    "JPEG XL": ".jxl",
    "JPEG 2000": ".j2k .jp2 .jpf .jpx",
    "SVG": ".svg",
    CAMERA_RAW: ".3fr .arw .cap .cr2 .cr3 .crw .dcr .dcs .dng .drf .erf .fff .gpr .iiq .k25 .kdc "
    ".mef .mos .mrw .nef .nrw .orf .pef .ptx .raf .raw .rw2 .rwl .rwz .sr2 .srf .srw .x3f",
    "OpenEXR": ".exr",
    "icon": ".ico",
    "PNM": ".pbm .pgm .pnm .ppm",
    "PCX": ".pcx",
    "Photoshop": ".psb .psd",
    "TGA": ".tga",
    "GIMP": ".xcf",
}
ENDINGS = {ending: kind for kind, endings in _ENDINGS.items() for ending in endings.split()}
"""Kind by ending, in lower case. A file with another ending may be an image, too."""
