"""Folders that are the parts of a ready-made split, recognized by their names."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

_WORDS = {
    "query": "query|queries|probes?",
    "gallery": "gallery",
    "test": "test|testing",
    "validation": "val|valid|validation",
    "train": "train|training|trainval",
}
"""Usual words for each part. Of duplicates, that in the first part is retained."""
_BEFORE = "(?:images?|imgs?|photos?|data|dataset|public|private|ilsvrc[0-9]*)[ _-]"
_AFTER = "[ _-]?(?:images?|imgs?|photos?|pictures?|data|set|split|mini|small|full|all|[0-9]+)"
_PATTERN = re.compile(
    f"(?:{_BEFORE})*(?:{'|'.join(f'({words})' for words in _WORDS.values())})"
    f"(?:{_AFTER}|(?-i:[AB]))*",
    re.IGNORECASE,
)
_MARKET_1501 = {"bounding_box_test": "gallery", "bounding_box_train": "train"}
RANKS = {part: rank for rank, part in enumerate(_WORDS)}


def find_parts(folders: Iterable[str]) -> dict[str, str]:
    """Return the part of each folder that has the usual name of one, in any case.

    Examples
    --------
    >>> find_parts(["Train", "val2017", "probe", "trains", "cat"])
    {'Train': 'train', 'val2017': 'validation', 'probe': 'query'}
    """
    parts = {folder: _find_part(folder.strip()) for folder in folders}
    return {folder: part for folder, part in parts.items() if part is not None}


def _find_part(folder: str) -> str | None:
    match = _PATTERN.fullmatch(folder)
    if match is None or match.lastindex is None:
        return _MARKET_1501.get(folder.lower())
    return list(_WORDS)[match.lastindex - 1]


def is_ready_split(folders: Iterable[str]) -> bool:
    """Check whether one folder has the usual name of query images, and one that of a gallery."""
    return {"query", "gallery"} <= set(find_parts(folders).values())


def contains_ready_split(root: Path) -> bool:
    """Check the subfolders of a folder; see `is_ready_split`. False if it cannot be listed."""
    try:
        return is_ready_split(path.name for path in root.iterdir() if path.is_dir())
    except OSError:  # the source of data has the message
        return False
