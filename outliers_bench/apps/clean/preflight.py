"""Whether photos can be moved at all, asked before the first: folders, room, other processes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from outliers_bench.data.image_files import reason
from outliers_bench.errors import BenchError


def check_writable(folders: Iterable[Path]) -> None:
    """See that files may be put into folders and taken out of them.

    Raises
    ------
    BenchError
        If one may not be written.
    """
    for folder in sorted(folders):
        if not os.access(folder, os.W_OK | os.X_OK):
            raise BenchError(f"{folder} may not be written; nothing was moved")


def make_folder(quarantine: Path) -> None:
    """Make the folder that photos are moved to.

    Raises
    ------
    BenchError
        If it cannot be made, or not be written.
    """
    try:
        quarantine.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BenchError(
            f"quarantine={quarantine} cannot be made ({reason(error)}); nothing was moved, name "
            "another folder"
        ) from None
    check_writable({quarantine})


def check_room(root: Path, quarantine: Path, names: Sequence[str]) -> None:
    """See that another disk has room for photos.

    Parameters
    ----------
    root, quarantine : Path
        From where, and where to.
    names : sequence of str
        The photos, relative to the root.

    Raises
    ------
    BenchError
        If it has not.
    """
    if root.stat().st_dev == quarantine.stat().st_dev:
        return
    needed = 0
    for name in names:
        with suppress(OSError):  # gone meanwhile, which moving it tells
            needed += (root / name).stat().st_size
    free = shutil.disk_usage(quarantine).free
    if needed > free:
        raise BenchError(
            f"quarantine={quarantine}: {needed:,} bytes are to go there and {free:,} are free; "
            "nothing was moved"
        )


@contextmanager
def alone(lock: Path, where: str) -> Iterator[None]:
    """Keep other processes from moving the same photos meanwhile.

    Raises
    ------
    BenchError
        If one is at it.
    """
    from filelock import FileLock, Timeout

    held = FileLock(lock)
    try:
        held.acquire(timeout=0)
    except Timeout:
        raise BenchError(f"{where}: another process is moving photos; wait for it") from None
    try:
        yield
    finally:
        held.release()
