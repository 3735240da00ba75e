"""Checksums of the files in a folder, such as a model, which are compared once per process."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterable
from functools import cache as memoize
from pathlib import Path
from typing import Any

from outliers_bench.errors import BenchError
from outliers_bench.store.files import warn_of_damage, write_atomically

SEAL = "checksums.json"
_BLOCK = 2**20


def seal(folder: Path, names: Iterable[str] | None = None) -> None:
    """Write the digests of files of a folder, by default of all, for `is_intact`."""
    given = sorted(path.name for path in folder.iterdir()) if names is None else names
    digests = {name: file_digest(folder / name) for name in given if name != SEAL}
    with write_atomically(folder / SEAL) as temporary:
        temporary.write_text(json.dumps(digests, indent=2) + "\n")


def is_intact(folder: Path, names: Iterable[str] | None = None) -> bool:
    """Check whether a folder exists and its files are as they were sealed; warn if not.

    A folder of an earlier version, which is not sealed, is sealed now, with the given names.
    """
    if not folder.is_dir():
        return False
    try:
        if not (folder / SEAL).exists():
            seal(folder, names)
        damaged = first_damaged(folder)
    except (OSError, ValueError, AttributeError):  # the checksums are damaged
        damaged = SEAL
    if damaged:
        warn_of_damage(folder / damaged)
    return not damaged


def first_damaged(folder: Path) -> str | None:
    """Return the name of the first file that differs from the checksums of its folder, if any.

    Raises
    ------
    OSError, ValueError, AttributeError
        If the checksums are missing or damaged.
    """
    for name, digest in json.loads((folder / SEAL).read_text()).items():
        path = folder / name
        if not path.is_file() or file_digest(path) != digest:
            return str(name)
    return None


def file_digest(path: Path) -> str:
    """Return the BLAKE2b digest of a file's content, 32 hex digits, read once per process."""
    stat = path.stat()
    return _digest(path.resolve(), stat.st_size, stat.st_mtime_ns)


def network_digest(path: Path) -> str:
    """Return a digest of a network's file: of a `.keras` file, of its layers and weights only.

    Keras also writes the date and addresses in memory into these files.

    Raises
    ------
    BenchError
        If a part of a `.keras` file is missing or damaged.
    """
    stat = path.stat()
    if path.suffix != ".keras":
        return file_digest(path)
    return _network_digest(path.resolve(), stat.st_size, stat.st_mtime_ns)


@memoize
def _digest(path: Path, _size: int, _mtime_ns: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


@memoize
def _network_digest(path: Path, _size: int, _mtime_ns: int) -> str:
    total = hashlib.blake2b(digest_size=16)
    try:
        with zipfile.ZipFile(path) as archive:
            # Reading to the end compares the checksums of the archive.
            layers = json.loads(archive.read("config.json"), object_hook=_without_id)
            total.update(json.dumps(layers, sort_keys=True).encode())
            with archive.open("model.weights.h5") as weights:
                while block := weights.read(_BLOCK):
                    total.update(block)
    except Exception as error:  # for random bytes, zipfile raises almost any exception
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise BenchError(f"{path}: damaged, or not a file of Keras ({reason})") from error
    return total.hexdigest()


def _without_id(layer: dict[str, Any]) -> dict[str, Any]:
    layer.pop("shared_object_id", None)  # an address in memory
    return layer
