"""Folder names for labels: valid on every system, and never outside the parent folder."""

from __future__ import annotations

import hashlib
import re
import unicodedata

_FORBIDDEN = re.compile(r'[<>:"/\\|?*]')
# Names of devices on Windows; photos in __MACOSX would be ignored when the folder is listed.
_RESERVED = {
    "con", "prn", "aux", "nul", "__macosx",
    *(f"{name}{n}" for name in ("com", "lpt") for n in "0123456789¹²³"),
}  # fmt: skip
_MAX_LENGTH = 100  # bytes; most systems allow 255


def folder_name(label: str) -> str:
    """Return the name of a label's folder: the label itself wherever that is safe.

    Characters that are not safe on Windows, macOS or Linux are replaced, and a digest of the label
    is appended, so that two labels never share a folder.
    """
    name = _FORBIDDEN.sub("_", label)
    name = "".join("_" if unicodedata.category(c) in ("Cc", "Cf", "Cs") else c for c in name)
    name = name.lstrip(". ").rstrip(". ")
    if name.partition(".")[0].rstrip().casefold() in _RESERVED:
        name = f"_{name}"  # Windows takes NUL.txt for NUL
    if len(name.encode()) > _MAX_LENGTH:
        name = name.encode()[:_MAX_LENGTH].decode(errors="ignore").rstrip(". ")
    if name == label:
        return name
    digest = hashlib.sha256(label.encode(errors="surrogatepass")).hexdigest()[:8]
    return f"{name or 'label'}-{digest}"
