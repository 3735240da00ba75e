"""Listing of the files in a photo folder; symbolic links are not followed."""

from __future__ import annotations

import os
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from outliers_bench.data.image_files import EXTENSIONS, UNSUPPORTED, describe_os_error
from outliers_bench.data.labels import normalize
from outliers_bench.data.table import PARTS
from outliers_bench.errors import BenchError

_PART_RANKS = ("query", "gallery", "train")  # order in which duplicates are retained


@dataclass(frozen=True)
class Listing:
    """Files below a folder, sorted into kinds by their extension.

    Parameters
    ----------
    photos : list of str
        Relative paths, with `/`, of files in a supported image format, sorted.
    unsupported : list of str
        Paths of images in an unsupported format, sorted.
    links : int
        Number of symbolic links, which are neither followed nor moved.
    others : int
        Number of files that have no image extension.
    """

    photos: list[str]
    unsupported: list[str]
    links: int
    others: int


def list_files(root: Path) -> Listing:
    """List the files below a folder; hidden files and `__MACOSX` folders are skipped.

    Raises
    ------
    BenchError
        If a folder cannot be listed.
    """
    photos, unsupported = [], []
    links = others = 0
    pending = [("", root)]
    while pending:
        prefix, folder = pending.pop()
        try:
            entries = list(os.scandir(folder))
        except OSError as error:
            raise BenchError(f"{folder} cannot be listed: {describe_os_error(error)}") from None
        for entry in entries:
            if entry.name.startswith(".") or entry.name == "__MACOSX":
                continue
            extension = os.path.splitext(entry.name)[1].lower()  # noqa: PTH122 - called per image
            if entry.is_symlink():
                links += 1
            elif entry.is_dir(follow_symlinks=False):
                pending.append((f"{prefix}{entry.name}/", Path(entry.path)))
            elif extension in EXTENSIONS and entry.is_file(follow_symlinks=False):
                photos.append(prefix + entry.name)
            elif extension in UNSUPPORTED and entry.is_file(follow_symlinks=False):
                unsupported.append(prefix + entry.name)
            else:
                others += 1
    return Listing(sorted(photos), sorted(unsupported), links, others)


def labels_and_parts(names: Iterable[str]) -> dict[str, tuple[str | None, int]]:
    """Return the label of each photo, which is its class folder, and the rank of its part.

    The class folders are in the root, as for `data=folder`, or in `query`, `gallery` and `train`,
    as for `data=prepared`. A photo outside of the class folders has no label. Of duplicates in
    several parts, the one in the part with the lowest rank is retained: query, gallery, train.

    Examples
    --------
    >>> labels_and_parts(["cat/1.jpg", "2.jpg"])
    {'cat/1.jpg': ('cat', 0), '2.jpg': (None, 0)}
    >>> labels_and_parts(["query/1.jpg", "gallery/cat/1.jpg"])
    {'query/1.jpg': (None, 0), 'gallery/cat/1.jpg': ('cat', 1)}
    """
    components = {name: name.split("/") for name in names}
    top_folders = {path[0] for path in components.values() if len(path) > 1}
    is_prepared = {"query", "gallery"} <= top_folders <= set(PARTS)
    result: dict[str, tuple[str | None, int]] = {}
    for name, path in components.items():
        folders = path[1:-1] if is_prepared else path[:-1]
        rank = _PART_RANKS.index(path[0]) if is_prepared and path[0] in _PART_RANKS else 0
        result[name] = (normalize(folders[0]) if folders else None, rank)
    return result


def find_collisions(names: Iterable[str]) -> list[tuple[str, str]]:
    """Find paths that differ only in case or in Unicode normalization.

    Such paths are one file on file systems that ignore these differences (macOS, Windows). The
    parent folders of the files are compared, too.

    Returns
    -------
    list of (str, str)
        A file or folder, and the first one by name that it collides with. Below colliding
        folders, only files that collide themselves are listed.

    Examples
    --------
    >>> find_collisions(["cat/a.jpg", "cat/A.JPG", "Cat/b.jpg"])
    [('cat', 'Cat'), ('cat/a.jpg', 'cat/A.JPG')]
    """
    files = set(names)
    spellings: dict[str, set[str]] = defaultdict(set)
    for name in files:
        end = len(name)
        while end > 0:
            folded = unicodedata.normalize("NFC", name[:end]).casefold()
            spellings[unicodedata.normalize("NFC", folded)].add(name[:end])
            end = name.rfind("/", 0, end)
    pairs = []
    for paths in spellings.values():
        first, *others = sorted(paths)
        # Folders with the same last component collide because of a parent, reported on its own.
        last = first.rpartition("/")[2]
        pairs += [
            (other, first) for other in others if other in files or other.rpartition("/")[2] != last
        ]
    return sorted(pairs)
