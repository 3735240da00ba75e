"""Folders that are the parts of a ready-made split, recognized by their names."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
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
_ALSO_CLASSES = ("train", "val")  # a vehicle, and short for Valerie and Valentin
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


def find_class(names: Sequence[str], folders: Collection[str]) -> str:
    """Return the folder that is a class in spite of its name, such as pictures of trains.

    Its images are directly in it, where training images of several classes cannot be, next to at
    least two folders with other names. Empty if there is none.

    Examples
    --------
    >>> find_class(["car/1.jpg", "dog/1.jpg", "train/1.jpg"], ["car", "dog", "train"])
    'train'
    """
    parts = list(find_parts(folders))
    if len(parts) != 1 or len(folders) < 3 or parts[0].lower() not in _ALSO_CLASSES:
        return ""
    prefix = f"{parts[0]}/"
    direct = any(name.startswith(prefix) and name.count("/") == 1 for name in names)
    return parts[0] if direct else ""


def is_split(folders: Iterable[str]) -> bool:
    """Check whether all folders have usual names of parts, and at least two parts are among them.

    Folders of one part only, such as `train 1` and `train 2`, may be classes.
    """
    parts = [_find_part(folder.strip()) for folder in folders]
    return None not in parts and len(set(parts)) > 1


def is_ready_split(folders: Iterable[str]) -> bool:
    """Check whether one folder has the usual name of query images, and one that of a gallery."""
    return {"query", "gallery"} <= set(find_parts(folders).values())


def contains_ready_split(root: Path) -> bool:
    """Check the subfolders of a folder; see `is_ready_split`. False if it cannot be listed."""
    try:
        return is_ready_split(path.name for path in root.iterdir() if path.is_dir())
    except OSError:  # the source of data has the message
        return False
