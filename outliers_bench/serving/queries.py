"""The photos that are searched for: files and folders on the command line, and what is in them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from outliers_bench.data.digests import digest_files
from outliers_bench.data.image_files import FileReader, absolute_path, list_images, unsupported_hint
from outliers_bench.errors import BenchError
from outliers_bench.types import RGB, ImageReader, ImageSet

_HERE = FileReader(Path())


@dataclass(frozen=True)
class Queries:
    """What is searched for.

    Parameters
    ----------
    digests : dict of Path to bytes
        Content of those that could be opened, by absolute path, as they were named; folders sorted.
    unreadable : dict of Path to str
        Why the others could not be.
    """

    digests: dict[Path, bytes]
    unreadable: dict[Path, str]

    def images(self, reader: ImageReader) -> ImageSet:
        """Those that could be opened, without labels, named by their absolute path."""
        names = tuple(str(path) for path in self.digests)
        return ImageSet(names, tuple(self.digests.values()), None, (), reader)


@dataclass(frozen=True)
class WithQueries:
    """Reads the photos that are searched for, and those of the run as the run did.

    Parameters
    ----------
    asked : frozenset of str
        Absolute paths.
    photos : ImageReader
        Reads all others.
    """

    asked: frozenset[str]
    photos: ImageReader

    def read(self, name: str, digest: bytes | None = None, *, side: int | None = None) -> RGB:
        """Decode one image; see `ImageReader.read`."""
        reader = _HERE if name in self.asked else self.photos
        return reader.read(name, digest, side=side)


def list_queries(words: Sequence[str], *, but: Path | None = None) -> tuple[Path, ...]:
    """The photos that files and folders stand for, absolute, each once.

    Parameters
    ----------
    words : sequence of str
        Files, and folders, which are looked through at any depth.
    but : Path or None
        Not taken from a folder: the sheet of the search before.

    Raises
    ------
    BenchError
        If nothing is asked for, a folder holds no photo, or a name cannot be written down.
    """
    if not words:
        raise BenchError("name a photo to search for, or a folder of them")
    paths: dict[Path, None] = {}
    for word in words:
        place = Path(os.path.normpath(absolute_path(word)))
        try:
            str(place).encode()
        except UnicodeEncodeError:
            raise BenchError(
                f"the file name {os.fsencode(word)!r} is not valid UTF-8; rename it"
            ) from None
        if not place.is_dir():
            paths[place] = None
            continue
        names, unsupported = list_images(place)
        found = [place / name for name in names if place / name != but]
        found += [place / item.name for item in unsupported]
        if len(found) == len(unsupported):
            raise BenchError(f"{word}: no photos in this folder{unsupported_hint(unsupported)}")
        paths |= dict.fromkeys(found)
    return tuple(paths)


def open_queries(paths: Sequence[Path], *, cache: Path) -> Queries:
    """Look into the photos; see `digest_files` for the cache."""
    found, left_out = digest_files(Path(), [str(path) for path in paths], cache=cache)
    return Queries(
        digests={Path(name): digest for name, digest in found.items()},
        unreadable={Path(item.name): item.detail for item in left_out},
    )
