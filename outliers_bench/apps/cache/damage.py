"""Comparison of the files in the cache with their checksums, and removal of results."""

from __future__ import annotations

import json
from pathlib import Path

from outliers_bench.apps.cache.entries import SEALED, STORES, Entry
from outliers_bench.errors import BenchError
from outliers_bench.runtime.lock import hold_lock
from outliers_bench.store.database import DAMAGED, count_damaged, is_open, read_space, repair
from outliers_bench.store.features import file_stem
from outliers_bench.store.files import read_arrays, remove
from outliers_bench.store.seal import SEAL, first_damaged


def find_damage(entry: Entry) -> str:
    """Compare a result with its checksums; return what is damaged, or an empty text."""
    path = entry.path
    try:
        if path.name.endswith(DAMAGED):
            return "set aside by an earlier run"
        if entry.kind in STORES:
            count = count_damaged(path)
            return "damaged as a whole" if count is None else f"{count:,} rows" if count else ""
        if entry.kind in SEALED:
            return (first_damaged(path) or "") if (path / SEAL).exists() else ""
        for file in path.rglob("*") if path.is_dir() else [path]:
            if file.suffix == ".npz":
                read_arrays(file)
            elif file.suffix == ".json" and entry.kind != "datasets":
                json.loads(file.read_text())
    except (ValueError, AttributeError):
        return SEAL if entry.kind in SEALED else "content"
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    return ""


def mend(entry: Entry) -> bool:
    """Keep the intact rows of a damaged feature file; remove any other damaged result."""
    path = entry.path
    if entry.kind in STORES and not path.name.endswith(DAMAGED):
        space = read_space(path)
        if f"{file_stem(space)}.sqlite" == path.name:  # the space is not damaged
            repair(path, space)
            return True
    return remove_entry(entry)


def remove_entry(entry: Entry) -> bool:
    """Remove a result and the files next to it, unless a process uses it."""
    path = entry.path
    lock = path.with_name(f".{path.name}.lock")
    try:
        with hold_lock(lock, refused="in use"):
            if path.suffix == ".sqlite" and is_open(path):
                return False
            for each in (path, *(path.with_name(path.name + end) for end in ("-wal", "-shm"))):
                remove(each)
            remove(lock)
    except (BenchError, OSError):
        return False
    return not _exists(path)


def _exists(path: Path) -> bool:
    return path.exists() or path.is_symlink()
