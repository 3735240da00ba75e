"""What lies in a folder of photos, without leaving it by a link."""

from __future__ import annotations

import os
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from outliers_bench.data.image_files import EXTENSIONS, UNSUPPORTED, reason
from outliers_bench.data.table import PARTS
from outliers_bench.errors import BenchError

_KEPT_FIRST = ("query", "gallery", "train")  # of copies in several parts, as in a benchmark


@dataclass(frozen=True)
class Listing:
    """The files below a folder, by what they are named.

    Parameters
    ----------
    photos : list of str
        Paths of what is named like an image that can be read, relative, with `/`, sorted.
    unsupported : list of str
        Paths of images of a kind that is not read.
    links : int
        Links, which are neither followed nor touched.
    others : int
        Files that are not named like images.
    """

    photos: list[str] = field(default_factory=list)
    unsupported: list[str] = field(default_factory=list)
    links: int = 0
    others: int = 0


def list_files(root: Path) -> Listing:
    """List what is below a folder; hidden files, and what archives bring along, are passed over.

    Raises
    ------
    BenchError
        If a folder cannot be listed.
    """
    photos, unsupported = [], []
    links = others = 0
    waiting = [("", root)]
    while waiting:
        prefix, folder = waiting.pop()
        try:
            entries = list(os.scandir(folder))
        except OSError as error:
            raise BenchError(f"{folder} cannot be listed: {reason(error)}") from None
        for entry in entries:
            if entry.name.startswith(".") or entry.name == "__MACOSX":
                continue
            extension = os.path.splitext(entry.name)[1].lower()  # noqa: PTH122 - called per image
            if entry.is_symlink():
                links += 1
            elif entry.is_dir(follow_symlinks=False):
                waiting.append((f"{prefix}{entry.name}/", Path(entry.path)))
            elif extension in EXTENSIONS and entry.is_file(follow_symlinks=False):
                photos.append(prefix + entry.name)
            elif extension in UNSUPPORTED and entry.is_file(follow_symlinks=False):
                unsupported.append(prefix + entry.name)
            else:
                others += 1
    return Listing(sorted(photos), sorted(unsupported), links, others)


def labels_and_parts(names: Iterable[str]) -> dict[str, tuple[str | None, int]]:
    """Label of each photo by the folder of its class, and the rank of its part.

    The class folders lie in the root, as for `data=folder`, or in `query`, `gallery` and `train`,
    as for `data=prepared`. A photo beside the class folders has no label. Of copies in several
    parts the one in the part of the lowest rank is kept: query, gallery, train.

    Examples
    --------
    >>> labels_and_parts(["cat/1.jpg", "2.jpg"])
    {'cat/1.jpg': ('cat', 0), '2.jpg': (None, 0)}
    >>> labels_and_parts(["query/1.jpg", "gallery/cat/1.jpg"])
    {'query/1.jpg': (None, 0), 'gallery/cat/1.jpg': ('cat', 1)}
    """
    split = {name: name.split("/") for name in names}
    tops = {parts[0] for parts in split.values() if len(parts) > 1}
    prepared = {"query", "gallery"} <= tops <= set(PARTS)
    found: dict[str, tuple[str | None, int]] = {}
    for name, parts in split.items():
        above = parts[1:-1] if prepared else parts[:-1]
        rank = _KEPT_FIRST.index(parts[0]) if prepared and parts[0] in _KEPT_FIRST else 0
        found[name] = (above[0] if above else None, rank)
    return found


def colliding(names: Iterable[str]) -> list[tuple[str, str]]:
    """Paths that are one on systems where case does not matter, or how an accent is composed.

    Parameters
    ----------
    names : iterable of str
        Paths of files; the folders above them count too.

    Returns
    -------
    list of (str, str)
        A file or folder, and the first by name that it collides with. Below folders that collide,
        only files are named that collide themselves.

    Examples
    --------
    >>> colliding(["cat/a.jpg", "cat/A.JPG", "Cat/b.jpg"])
    [('cat', 'Cat'), ('cat/a.jpg', 'cat/A.JPG')]
    """
    files = set(names)
    spelled: dict[str, set[str]] = defaultdict(set)
    for name in files:
        at = len(name)
        while at > 0:
            spelled[_folded(name[:at])].add(name[:at])
            at = name.rfind("/", 0, at)
    pairs = []
    for together in spelled.values():
        first, *others = sorted(together)
        # A folder spelled alike collides by what is above it only, which is told there.
        end = first.rpartition("/")[2]
        pairs += [
            (other, first) for other in others if other in files or other.rpartition("/")[2] != end
        ]
    return sorted(pairs)


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def is_utf8(name: str) -> bool:
    """Whether a file's name can be read as text."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
