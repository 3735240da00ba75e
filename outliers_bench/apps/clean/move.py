"""Safe move of a file: never overwrites, and survives a kill at any moment."""

from __future__ import annotations

import errno
import filecmp
import hashlib
import os
import shutil
from contextlib import suppress
from pathlib import Path


def move(source: Path, target: Path) -> None:
    """Move a file, also to another file system; its times and permissions are preserved.

    If the process is killed, the file is complete at the source, at the target, or at both;
    `undo_partial_move` cleans up.

    Raises
    ------
    FileExistsError
        If the target exists.
    OSError
        If the file cannot be moved; it is still at the source then.
    """
    if os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        # Unlike rename, this never overwrites a file that was created since the check.
        target.hardlink_to(source)
    except FileExistsError:
        raise
    except OSError:  # a file of another user, or a file system without links
        try:
            source.rename(target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            _copy(source, target)
        else:
            return
    _remove_source(source, target)


def undo_partial_move(source: Path, target: Path) -> None:
    """Undo a move that was killed halfway: a file at both paths stays at the source only."""
    for path in (source, target):
        with suppress(OSError):
            _temporary_path(path).unlink()
    if os.path.lexists(source) and os.path.lexists(target) and _has_same_content(source, target):
        target.unlink()


def _has_same_content(first: Path, second: Path) -> bool:
    if first.is_symlink() or second.is_symlink() or not (first.is_file() and second.is_file()):
        return False
    return first.samefile(second) or filecmp.cmp(first, second, shallow=False)


def _copy(source: Path, target: Path) -> None:
    temporary = _temporary_path(target)
    try:
        shutil.copy2(source, temporary)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        if not _has_same_content(source, temporary):
            raise OSError(errno.EIO, "the copy differs", str(target))
        temporary.rename(target)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _remove_source(source: Path, target: Path) -> None:
    try:
        source.unlink()
    except OSError:
        target.unlink()  # so that there is one file
        raise


def _temporary_path(path: Path) -> Path:
    """Return the path of an incomplete copy, derived from the name so that cleanup can find it."""
    name = hashlib.blake2b(os.fsencode(path.name), digest_size=6).hexdigest()
    return path.with_name(f".outliers-bench-{name}.part")
