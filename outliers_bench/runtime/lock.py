"""File lock between processes, which the system releases when its process ends."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from outliers_bench.errors import BenchError
from outliers_bench.runtime.progress import status


@contextmanager
def hold_lock(path: Path, *, waiting: str = "", refused: str | None = None) -> Iterator[None]:
    """Hold a file lock; wait while another process holds it, or refuse.

    Parameters
    ----------
    path : Path
        The file to lock; created if it does not exist, in a folder that does.
    waiting : str
        Status shown while another process holds the lock.
    refused : str, optional
        Message of the `BenchError` that is raised instead of waiting.

    Raises
    ------
    OSError
        If the file cannot be created, or its file system has no locks.
    """
    try:
        import fcntl
    except ImportError:  # Windows: two processes may do the same work
        yield
        return
    # Not filelock: its audit hook runs Python code while TensorFlow's libraries are loaded, where a
    # SIGTERM then aborts the process.
    is_locked = False
    while not is_locked:
        with path.open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if refused is not None:
                    raise BenchError(refused) from None
                with status(waiting):
                    fcntl.flock(file, fcntl.LOCK_EX)
            with suppress(FileNotFoundError):  # the process that held the lock removed the file
                is_locked = path.stat().st_ino == os.fstat(file.fileno()).st_ino
            if is_locked:
                yield
