"""Things made once and kept on disk: named by what they were made of, never left half written."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt


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
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-", suffix=path.suffix)
    os.close(handle)
    aside = Path(name)
    try:
        yield aside
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def keep(path: Path, **arrays: npt.NDArray[np.generic]) -> None:
    """Write arrays to a file that `read` reads, in one step."""
    with written(path) as aside, aside.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def read(path: Path) -> dict[str, npt.NDArray[np.generic]] | None:
    """The arrays that `keep` has written; None where the file is not there or is damaged."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return dict(arrays)
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error):
        return None
