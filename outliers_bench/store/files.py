"""Files and folders on disk: written atomically, named by a digest of their inputs."""

from __future__ import annotations

import hashlib
import json
import logging
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache as memoize
from glob import escape
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

ABANDONED_AFTER = 24 * 3600  # seconds; older temporary files are left by killed processes
_log = logging.getLogger(__name__)


def digest_of(options: Mapping[str, object], *arrays: npt.NDArray[np.generic]) -> str:
    """Return a digest (32 hex digits) of options and arrays, as the name of a result of them.

    Options are serializable to JSON; shape and dtype of arrays count too.
    """
    digest = hashlib.blake2b(json.dumps(options, sort_keys=True).encode(), digest_size=16)
    for array in arrays:
        digest.update(f"\n{array.dtype.str} {array.shape}\n".encode())
        content = np.ascontiguousarray(array)
        # Times have no buffer of their own.
        digest.update((content.view(np.int64) if content.dtype.kind in "mM" else content).data)
    return digest.hexdigest()


@contextmanager
def write_atomically(path: Path) -> Iterator[Path]:
    """Yield a temporary path, which replaces `path` atomically if the block succeeds.

    A killed process leaves the old file or none; with two processes, the last complete file wins.
    The block may make a folder; of two processes, the first complete folder stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(path)
    # Not tempfile, whose files other users cannot read: a cache may be shared.
    temporary = path.with_name(f".{path.stem}-{secrets.token_hex(8)}{path.suffix}")
    try:
        yield temporary
        try:
            temporary.replace(path)
        except OSError:
            if not (temporary.is_dir() and path.is_dir()):
                raise
    finally:
        remove(temporary)


def remove(path: Path) -> None:
    """Remove a file or a folder, if it exists and that is possible."""
    with suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def store_result(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file or folder atomically, instead of the old one; log a warning if that fails."""
    try:
        with write_atomically(path) as temporary:
            write(temporary)
            if temporary.is_dir():  # renaming replaces nothing but files
                remove(path)
    except OSError as error:
        _log.warning(
            "%s could not be written: %s; the run continues", path, error.strerror or error
        )


def save_arrays(path: Path, **arrays: npt.NDArray[Any]) -> None:
    """Write arrays to a file for `read_arrays`, atomically; log a warning if that fails."""
    store_result(path, lambda temporary: write_arrays(temporary, **arrays))


def write_arrays(path: Path, **arrays: npt.NDArray[Any]) -> None:
    """Write arrays to a file for `read_arrays`."""
    with path.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def read_arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Load the arrays written by `write_arrays`.

    Raises
    ------
    OSError, ValueError
        If the file is missing or damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return dict(arrays)
    except OSError:
        raise
    except Exception as error:
        # For random bytes, NumPy and zipfile raise almost any exception, including TypeError and
        # NotImplementedError.
        raise ValueError(f"{path} is damaged") from error


@memoize
def warn_of_damage(path: Path) -> None:
    """Log a warning that a file is damaged, once per process, though several places may notice."""
    _log.warning("%s is damaged; it is made again", path)


def _remove_leftovers(path: Path) -> None:
    """Remove temporary files of this path that were left by killed processes."""
    random = "[0-9a-f]" * 16  # the names given by `write_atomically`; other hidden files stay
    for leftover in path.parent.glob(f".{escape(path.stem)}-{random}{escape(path.suffix)}"):
        with suppress(OSError):
            if time.time() - leftover.stat().st_mtime > ABANDONED_AFTER:
                remove(leftover)
