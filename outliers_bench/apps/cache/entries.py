"""Content of the cache: files and folders that belong together, by kind."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

KINDS = {
    "features": "vectors, thumbnails and keypoints of photos, by feature space",
    "looks": "measurements of photos by the clean command",
    "models": "converted networks",
    "trained": "trained networks",
    "indexes": "indexes of galleries",
    "graphs": "neighbor graphs",
    "reducers": "projections",
    "rankings": "rankings by keypoints",
    "duplicates": "duplicates in sets of photos",
    "sizes": "sizes of photos",
    "times": "times of photos",
    "cards": "finished runs, for searches",
    "fetched": "models from MLflow",
    "machine": "measurements of this machine",
    "digests": "digests of files by path",
    "datasets": "downloaded data sets",
    "outbox": "runs on their way to MLflow",
}
"""Folders of the cache, with a description of their content."""
NOT_PRUNED = {"datasets", "outbox", "digests"}  # never pruned
STORES = {"features", "looks"}  # one SQLite file per feature space
SEALED = {"models", "trained", "indexes"}  # folders with checksums
_DETAILS = ("architecture", "name", "network", "weights", "image_size", "pooling", "precision")
_DESCRIPTIONS = ("conversion.json", "recipe.json")
_LONGEST = 12  # characters of a digest


@dataclass(frozen=True)
class Entry:
    """A result in the cache: a file or folder, with the files next to it."""

    kind: str
    path: Path
    files: int
    nbytes: int
    used: float  # seconds since 1970; with the accuracy of the file system's access times

    def belongs_to(self) -> str:
        """Return the model and options that the result was computed with; empty if unknown."""
        with keep_access_times(self.path):
            if self.kind in STORES:
                from outliers_bench.store.database import read_space

                return _describe(read_space(self.path))
            for name in _DESCRIPTIONS:
                with suppress(OSError, ValueError):
                    return _describe(json.loads((self.path / name).read_text()))
        return ""


def find_entries(cache: Path, kinds: list[str]) -> list[Entry]:
    """Return all results in the cache, or those of some kinds."""
    entries = []
    for kind in kinds or KINDS:
        names = sorted(
            path for path in cache.glob(f"{kind}.sqlite" if kind == "digests" else f"{kind}/*")
        )
        for path in names:
            # Temporary files and locks; the files next to a SQLite file count with it.
            if path.name.startswith(".") or path.name.endswith(("-wal", "-shm")):
                continue
            entries.append(_measure(kind, path))
    return entries


@contextmanager
def keep_access_times(path: Path) -> Iterator[None]:
    """Restore the access times of files that are read in the block: reading is no use of them."""
    before = {}
    for file in _walk(path):
        with suppress(OSError):
            before[file] = file.stat()
    yield
    for file, status in before.items():
        with suppress(OSError):
            if file.stat().st_mtime_ns == status.st_mtime_ns:
                os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))


def _measure(kind: str, path: Path) -> Entry:
    neighbors = [path.with_name(path.name + suffix) for suffix in ("-wal", "-shm")]
    files = nbytes = 0
    used = 0.0
    for file in (*_walk(path), *neighbors):
        with suppress(OSError):  # another process may remove it
            status = file.lstat()
            files += 1
            nbytes += status.st_size
            used = max(used, status.st_mtime, status.st_atime)
    return Entry(kind, path, files, nbytes, used)


def _walk(path: Path) -> Iterator[Path]:
    if not path.is_dir() or path.is_symlink():
        yield path
        return
    for folder, _, names in os.walk(path):
        yield from (Path(folder) / name for name in names)


def _describe(options: Mapping[str, Any]) -> str:
    words = []
    for name in _DETAILS:
        value = str(options.get(name, ""))
        is_digest = len(value) == 32 and name == "weights"
        if value and value not in words:
            words.append(value[:_LONGEST] if is_digest else value)
    return " ".join(words)
