"""Folders that are the parts of a ready-made split, recognized by their names."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

_NAMES = {
    "query": ("query", "queries", "probe", "probes"),
    "gallery": ("gallery", "bounding_box_test"),
    "test": ("test", "testing"),
    "validation": ("val", "valid", "validation"),
    "train": ("train", "training", "bounding_box_train"),
}
"""Usual names of each part, in lower case. Of duplicates, that in the first part is retained."""
_PART = {name: part for part, names in _NAMES.items() for name in names}
RANKS = {part: rank for rank, part in enumerate(_NAMES)}


def find_parts(folders: Iterable[str]) -> dict[str, str]:
    """Return the part of each folder that has the usual name of one, in any case.

    Examples
    --------
    >>> find_parts(["Train", "valid", "probe", "cat"])
    {'Train': 'train', 'valid': 'validation', 'probe': 'query'}
    """
    names = {folder: folder.strip().lower() for folder in folders}
    return {folder: _PART[name] for folder, name in names.items() if name in _PART}


def is_ready_split(folders: Iterable[str]) -> bool:
    """Check whether one folder has the usual name of query images, and one that of a gallery."""
    return {"query", "gallery"} <= set(find_parts(folders).values())


def contains_ready_split(root: Path) -> bool:
    """Check the subfolders of a folder; see `is_ready_split`. False if it cannot be listed."""
    try:
        return is_ready_split(path.name for path in root.iterdir() if path.is_dir())
    except OSError:  # the source of data has the message
        return False
