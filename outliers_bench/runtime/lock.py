"""File lock between processes, with a status while another process holds it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from outliers_bench.runtime.progress import status


@contextmanager
def hold_lock(path: Path, waiting: str) -> Iterator[None]:
    """Hold a file lock, which the system releases when its process ends.

    Parameters
    ----------
    path : Path
        The file to lock; created if it does not exist, in a folder that does.
    waiting : str
        Status shown while another process holds the lock.

    Raises
    ------
    OSError
        If the file cannot be created, or its file system has no locks.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        with status(waiting):
            lock.acquire()
    try:
        yield
    finally:
        lock.release()
