"""Query photos: files, and the photos in folders, given on the command line."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from outliers_bench.data.digests import digest_files
from outliers_bench.data.image_files import FileReader, absolute_path
from outliers_bench.data.listing import describe_excluded, excluded_hint, list_images
from outliers_bench.errors import BenchError
from outliers_bench.types import ImageSet

_PATH_READER = FileReader(Path())


@dataclass(frozen=True)
class Queries:
    """Photos to search for, by absolute path."""

    digests: dict[Path, bytes]  # of each readable file, in the order given; folders are sorted
    unreadable: dict[Path, str]  # reason for each file that cannot be read

    def images(self) -> ImageSet:
        """Return the readable files as an image set without labels, named by absolute path."""
        names = tuple(str(path) for path in self.digests)
        return ImageSet(names, tuple(self.digests.values()), None, (), _PATH_READER)


def list_queries(names: Sequence[str], *, exclude: Path | None = None) -> tuple[Path, ...]:
    """Return the absolute paths of the photos, without repetitions.

    Parameters
    ----------
    names : sequence of str
        Files, and folders, which are searched recursively.
    exclude : Path or None
        Path that is ignored in a folder, such as the contact sheet of an earlier search.

    Raises
    ------
    BenchError
        If `names` is empty, a folder has no photos, or a name is not valid UTF-8.
    """
    if not names:
        raise BenchError("give a photo to search for, or a folder of photos")
    paths: dict[Path, None] = {}
    for given in names:
        path = Path(os.path.normpath(absolute_path(given)))
        try:
            str(path).encode()
        except UnicodeEncodeError:
            raise BenchError(
                f"the file name {os.fsencode(given)!r} is not valid UTF-8; rename it"
            ) from None
        if not path.is_dir():
            paths[path] = None
            continue
        images, left_out = list_images(path)
        photos = [path / name for name in images if path / name != exclude]
        if not photos:
            raise BenchError(f"{given}: no photos in this folder{excluded_hint(left_out)}")
        photos += [path / item.name for item in left_out if item.kind == "unsupported"]
        if others := [item for item in left_out if item.kind != "unsupported"]:
            print(f"excluded from {given}: {describe_excluded(others)}", file=sys.stderr)
        paths |= dict.fromkeys(photos)
    return tuple(paths)


def open_queries(paths: Sequence[Path], *, cache: Path) -> Queries:
    """Hash the files; see `digest_files` for the cache."""
    digests, unreadable = digest_files(Path(), [str(path) for path in paths], cache=cache)
    return Queries(
        digests={Path(name): digest for name, digest in digests.items()},
        unreadable={Path(item.name): item.detail for item in unreadable},
    )
