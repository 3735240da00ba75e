"""Listing of the files in a photo folder; symbolic links are not followed."""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from outliers_bench.data.labels import normalize
from outliers_bench.data.listing import LINK, walk
from outliers_bench.data.parts import RANKS, find_parts, is_ready_split, is_split
from outliers_bench.data.path_labels import LABEL, PathLabels


@dataclass(frozen=True)
class Listing:
    """Files below a folder, sorted into kinds.

    Parameters
    ----------
    photos : list of str
        Relative paths, with `/`, of images, sorted.
    unsupported : dict of str to str
        Reason by path of images in an unsupported format, sorted.
    links : int
        Number of symbolic links, which are neither followed nor moved.
    others : int
        Number of files that are no images.
    system : int
        Number of hidden files and folders and of those of operating systems.
    """

    photos: list[str]
    unsupported: dict[str, str]
    links: int = 0
    others: int = 0
    system: int = 0


def list_files(root: Path) -> Listing:
    """List the files below a folder; see `walk`.

    Raises
    ------
    BenchError
        If a folder cannot be listed.
    """
    photos, left_out = walk(root, follow_links=False)
    links = sum(item.detail == LINK for item in left_out)
    kinds = Counter(item.kind for item in left_out)
    return Listing(
        photos,
        {item.name: item.detail for item in left_out if item.kind == "unsupported"},
        links=links,
        others=kinds["other"] - links,
        system=kinds["system"],
    )


def labels_and_parts(names: Iterable[str], *, depth: int = 1) -> dict[str, tuple[str | None, int]]:
    """Return the label of each photo, which is its class folder, and the rank of its part.

    The class folders are in the root, as for `data=folder`, or in the parts of a ready-made split,
    such as `query` and `gallery` or `train` and `test` (`parts.find_parts`). A photo outside of the
    class folders has no label. Of duplicates in several parts, the one in the part with the lowest
    rank is retained: query, gallery, test, validation, train. `depth` is that of `PathLabels`.

    Examples
    --------
    >>> labels_and_parts(["cat/1.jpg", "2.jpg"])
    {'cat/1.jpg': ('cat', 0), '2.jpg': (None, 0)}
    >>> labels_and_parts(["query/1.jpg", "Gallery/cat/1.jpg"])
    {'query/1.jpg': (None, 0), 'Gallery/cat/1.jpg': ('cat', 1)}
    """
    components = {name: name.split("/") for name in names}
    top_folders = {path[0] for path in components.values() if len(path) > 1}
    parts = find_parts(top_folders)
    in_parts = is_ready_split(top_folders) or is_split(top_folders)
    fields = PathLabels(depth).read(list(components), below=int(in_parts))
    result: dict[str, tuple[str | None, int]] = {}
    for (name, path), found in zip(components.items(), fields, strict=True):
        part = parts.get(path[0]) if in_parts else None
        rank = 0 if part is None else RANKS[part]
        result[name] = (normalize(found[LABEL]) if found else None, rank)
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
