"""A folder for a label: a name that every system takes, and no way out of the folder above."""

from __future__ import annotations

import hashlib
import re
import unicodedata

_FORBIDDEN = re.compile(r'[<>:"/\\|?*]')
# Windows has devices under these names; the rest would be passed over when the photos are listed.
_RESERVED = {
    "con", "prn", "aux", "nul", "__macosx",
    *(f"{name}{n}" for name in ("com", "lpt") for n in "0123456789¹²³"),
}  # fmt: skip
_LONGEST = 100  # bytes; 255 is what most systems allow


def folder_of(label: str) -> str:
    """The name of a label's folder: the label itself wherever that is safe.

    What is not safe on Windows, macOS or Linux is replaced, and a digest of the label added, so
    that two labels never share a folder.
    """
    name = _FORBIDDEN.sub("_", label)
    name = "".join("_" if unicodedata.category(c) in ("Cc", "Cf", "Cs") else c for c in name)
    name = name.lstrip(". ").rstrip(". ")
    if name.partition(".")[0].rstrip().casefold() in _RESERVED:
        name = f"_{name}"  # Windows takes NUL.txt for NUL
    if len(name.encode()) > _LONGEST:
        name = name.encode()[:_LONGEST].decode(errors="ignore").rstrip(". ")
    if name == label:
        return name
    digest = hashlib.sha256(label.encode(errors="surrogatepass")).hexdigest()[:8]
    return f"{name or 'label'}-{digest}"
