"""Cached results on disk: named by a digest of their inputs, written atomically."""

from __future__ import annotations

import hashlib
import json
import logging
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

ABANDONED_AFTER = 24 * 3600  # seconds; older temporary files are left by killed processes
_log = logging.getLogger(__name__)


def digest_of(options: Mapping[str, object], *arrays: npt.NDArray[np.generic]) -> str:
    """Return a digest of options and arrays, as the name of a result computed from them.

    Parameters
    ----------
    options : mapping of str to object
        Everything else that the result depends on; serializable to JSON.
    *arrays : array
        Input arrays; shape and dtype count too.

    Returns
    -------
    str
        32 hex digits.
    """
    digest = hashlib.blake2b(json.dumps(options, sort_keys=True).encode(), digest_size=16)
    for array in arrays:
        digest.update(f"\n{array.dtype.str} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


@contextmanager
def write_atomically(path: Path) -> Iterator[Path]:
    """Yield a temporary path, which replaces `path` atomically if the block succeeds.

    A killed process leaves the old file or none; with two processes, the last complete file wins.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(path)
    # Not tempfile, whose files other users cannot read: a cache may be shared.
    temporary = path.with_name(f".{path.stem}-{secrets.token_hex(8)}{path.suffix}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def save_arrays(path: Path, **arrays: npt.NDArray[Any]) -> None:
    """Write arrays to a file for `load_arrays`, atomically; log a warning if that fails."""
    try:
        with write_atomically(path) as temporary, temporary.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
    except OSError as error:
        _log.warning("%s could not be written: %s; the run continues", path, error.strerror)


def load_arrays(path: Path) -> dict[str, npt.NDArray[Any]] | None:
    """Load the arrays written by `save_arrays`; None if the file is missing or damaged."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return dict(arrays)
    except Exception:
        # For random bytes, NumPy and zipfile raise almost any exception, including TypeError and
        # NotImplementedError.
        return None


def _remove_leftovers(path: Path) -> None:
    """Remove temporary files of this path that were left by killed processes."""
    random = "[0-9a-f]" * 16  # the names given by `write_atomically`; other hidden files stay
    for leftover in path.parent.glob(f".{escape(path.stem)}-{random}{escape(path.suffix)}"):
        with suppress(OSError):
            if time.time() - leftover.stat().st_mtime > ABANDONED_AFTER:
                leftover.unlink()
