"""Results that are computed once: each a file or a folder, named by a digest of its inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from outliers_bench.runtime.lock import hold_lock
from outliers_bench.store.files import remove, store_result, warn_of_damage

T = TypeVar("T")

_WAITING = "waiting for another process with the same work"
_DAMAGED = (OSError, ValueError, LookupError, TypeError)  # errors of reading a damaged file


def load_or_make(
    path: Path,
    *,
    read: Callable[[Path], T | None],
    make: Callable[[], T],
    write: Callable[[T, Path], object],
    limit: int | None = None,
    limit_bytes: int | None = None,
) -> T:
    """Read a result from the cache, or make and cache it.

    Of several processes that need the same result, one makes it and the others wait. A result that
    cannot be written is returned all the same, with a warning.

    Parameters
    ----------
    path : Path
        File or folder of the result; its name has a digest of everything the result depends on.
    read, make, write : callable
        Read the result of a path, make it, or write it to a path, as a file or a folder. A damaged
        one, for which `read` returns None or raises OSError, ValueError, LookupError or TypeError,
        is made again.
    limit : int, optional
        Number of results with the same suffix in the folder; the oldest others are removed.
    limit_bytes : int, optional
        Size of these results, which are files; the oldest others are removed.
    """
    result = load(path, read)
    if result is not None:
        return result
    with locked(path):
        result = load(path, read)
        if result is None:
            result = make()
            store_result(path, lambda aside: write(result, aside))
            if limit is not None:
                remove_oldest(path, limit, limit_bytes)
    return result


def load(path: Path, read: Callable[[Path], T | None]) -> T | None:
    """Read a result from the cache; None if it is absent or, with a warning, damaged."""
    try:
        return read(path)
    except FileNotFoundError:
        return None
    except _DAMAGED:
        if path.exists():
            warn_of_damage(path)
        return None


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of a result; without locks, two processes may make the same."""
    lock = path.with_name(f".{path.name}.lock")
    with ExitStack() as stack:
        with suppress(OSError, NotImplementedError):
            path.parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(hold_lock(lock, waiting=_WAITING))
            stack.callback(remove, lock)
        yield


def remove_oldest(path: Path, limit: int, limit_bytes: int | None = None) -> None:
    """Remove the oldest files with the same suffix in the folder of a file, beyond a number.

    With `limit_bytes`, also those beyond a size of all newer files; the newest file stays.
    """
    with suppress(OSError):  # another process may remove them at the same time
        found = [(each.stat(), each) for each in path.parent.glob(f"[!.]*{path.suffix}")]
        newest = sorted(found, key=lambda pair: -pair[0].st_mtime)
        total = 0
        for number, (status, file) in enumerate(newest):
            total += status.st_size
            is_large = limit_bytes is not None and total > limit_bytes
            if number and (number >= limit or is_large):
                remove(file)
