"""Moving one file so that nothing is lost: not by a kill, not by a file that is there already."""

from __future__ import annotations

import errno
import filecmp
import hashlib
import os
import shutil
from contextlib import suppress
from pathlib import Path

_NO_LINKS = (errno.EPERM, errno.EMLINK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EACCES)


def move(source: Path, target: Path) -> None:
    """Move a file, to another file system too; times and permissions stay.

    Killed at any moment, the file is whole at its old place, at its new one, or at both; `settle`
    takes back what is half done.

    Raises
    ------
    FileExistsError
        If something is at the target.
    OSError
        If it cannot be moved; then it is where it was.
    """
    if os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        # Unlike rename, this never overwrites what has come there since.
        target.hardlink_to(source)
    except OSError as error:
        if error.errno not in (errno.EXDEV, *_NO_LINKS):
            raise
    else:
        _forget(source, instead=target)
        return
    try:
        source.rename(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _copy(source, target)


def settle(source: Path, target: Path) -> None:
    """Take back a move that was killed half way: what is at both places stays at the old one."""
    for place in (source, target):
        with suppress(OSError):
            _aside(place).unlink()
    if os.path.lexists(source) and os.path.lexists(target) and same_content(source, target):
        target.unlink()


def same_content(first: Path, second: Path) -> bool:
    """Whether two files are one, or hold the same bytes."""
    if first.is_symlink() or second.is_symlink() or not (first.is_file() and second.is_file()):
        return False
    return first.samefile(second) or filecmp.cmp(first, second, shallow=False)


def _copy(source: Path, target: Path) -> None:
    aside = _aside(target)
    try:
        shutil.copy2(source, aside)
        with aside.open("rb") as file:
            os.fsync(file.fileno())
        if not same_content(source, aside):
            raise OSError(errno.EIO, "the copy differs", str(target))
        aside.rename(target)
    finally:
        with suppress(OSError):
            aside.unlink(missing_ok=True)
    _forget(source, instead=target)


def _forget(source: Path, *, instead: Path) -> None:
    """Remove the old place; where that is not allowed, the new one."""
    try:
        source.unlink()
    except OSError:
        instead.unlink()
        raise


def _aside(place: Path) -> Path:
    """Where a copy is written; a killed one is found again by its name."""
    name = hashlib.blake2b(os.fsencode(place.name), digest_size=6).hexdigest()
    return place.with_name(f".outliers-bench-{name}.part")
