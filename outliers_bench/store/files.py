"""Things made once and kept on disk: named by what they were made of, never left half written."""

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

LONG_AGO = 24 * 3600  # seconds after which what was being written has been given up
_log = logging.getLogger(__name__)


def digest_of(said: Mapping[str, object], *arrays: npt.NDArray[np.generic]) -> str:
    """A name for what is made of these options and these numbers.

    Parameters
    ----------
    said : mapping of str to object
        Everything else that it depends on; JSON can write it.
    *arrays : array
        Numbers it is made of; shape and type count too.

    Returns
    -------
    str
        32 hex digits.
    """
    digest = hashlib.blake2b(json.dumps(said, sort_keys=True).encode(), digest_size=16)
    for array in arrays:
        digest.update(f"\n{array.dtype.str} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


@contextmanager
def written(path: Path) -> Iterator[Path]:
    """A place to write to, which becomes `path` in one step when the block ends well.

    A kill leaves the old file or none, and of two processes the last one wins with a whole file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(path)
    # Not by tempfile, whose files nobody else may read: a cache may be shared.
    aside = path.with_name(f".{path.stem}-{secrets.token_hex(8)}{path.suffix}")
    try:
        yield aside
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def keep(path: Path, **arrays: npt.NDArray[Any]) -> None:
    """Write arrays to a file that `read` reads, in one step; warn where that cannot be done."""
    try:
        with written(path) as aside, aside.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
    except OSError as error:
        _log.warning("%s could not be kept: %s; the run goes on", path, error.strerror)


def read(path: Path) -> dict[str, npt.NDArray[Any]] | None:
    """The arrays that `keep` has written; None where the file is not there or is damaged."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return dict(arrays)
    except Exception:
        # Bytes at random make NumPy and zipfile raise nearly anything, down to TypeError and
        # NotImplementedError.
        return None


def _remove_leftovers(path: Path) -> None:
    """Remove what writers of this file left behind that were killed long ago, and nothing else."""
    random = "[0-9a-f]" * 16  # as `written` names them: there may be hidden files of others
    for leftover in path.parent.glob(f".{escape(path.stem)}-{random}{escape(path.suffix)}"):
        with suppress(OSError):
            if time.time() - leftover.stat().st_mtime > LONG_AGO:
                leftover.unlink()
