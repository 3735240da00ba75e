"""Content digests of files, cached until the files change."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from itertools import chain
from pathlib import Path
from sqlite3 import SQLITE_CORRUPT, SQLITE_NOTADB
from typing import TypeVar

from outliers_bench.data.content_hash import content_hash
from outliers_bench.data.image_files import describe_os_error
from outliers_bench.runtime.machine import cores
from outliers_bench.runtime.progress import track
from outliers_bench.types import LeftOut

T = TypeVar("T")

_TRUSTED_AGE_NS = 2_000_000_000
_BATCH = 500
_FILES_PER_TASK = 16
_DAMAGED = (SQLITE_CORRUPT, SQLITE_NOTADB)
_TABLE = """
CREATE TABLE IF NOT EXISTS digests_1 (
    path BLOB PRIMARY KEY, state TEXT NOT NULL, digest BLOB NOT NULL
) WITHOUT ROWID
"""


def digest_files(
    root: Path, names: Sequence[str], *, cache: Path
) -> tuple[dict[str, bytes], list[LeftOut]]:
    """Compute the content digest of each file.

    Parameters
    ----------
    root : Path
        Base of relative names.
    names : sequence of str
        The files.
    cache : Path
        Directory of `digests.sqlite`, which caches the digests of files whose path, size, times,
        and inode are unchanged. A file modified less than two seconds ago is read again next time,
        since another change might leave the same times.

    Returns
    -------
    digests : dict of str to bytes
        BLAKE2b, 16 bytes, of each readable file.
    left_out : list of LeftOut
        Files that are missing, empty, or not readable.
    """
    start = root.absolute()
    paths = {name: os.path.join(start, name) for name in dict.fromkeys(names)}  # noqa: PTH118
    digests: dict[str, bytes] = {}
    left_out = []
    with closing(_DigestCache(cache / "digests.sqlite")) as stored:
        known = stored.get(list(paths.values()))
        changed = {}
        for name, path in paths.items():
            state, digest = known.get(path, ("", b""))
            if state and state == _state(path):
                digests[name] = digest
            else:
                changed[name] = path
        fresh = []
        with ThreadPoolExecutor(min(8, 2 * cores())) as pool:
            # Several files per task: submitting a task takes as long as hashing a file.
            results = chain.from_iterable(pool.map(_digests, _tasks(list(changed.values()))))
            for name, result in zip(
                changed, track(results, stage="digest", total=len(changed)), strict=True
            ):
                if isinstance(result, str):
                    left_out.append(LeftOut(name, "unreadable", result))
                    continue
                state, digests[name] = result
                if state:
                    fresh.append((paths[name], state, digests[name]))
                if len(fresh) == _BATCH:
                    stored.put(fresh)
                    fresh = []
        stored.put(fresh)
    return {name: digests[name] for name in paths if name in digests}, left_out


def _state(path: str) -> str:
    """Return a signature that changes when the file does; empty if the file does not exist."""
    try:
        status = os.stat(path)  # noqa: PTH116 - twice as fast as Path.stat, and called per image
    except OSError:
        return ""
    return _signature(status)


def _signature(status: os.stat_result) -> str:
    return f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns} {status.st_ino}"


def _tasks(paths: list[str]) -> list[list[str]]:
    """Divide paths into tasks, in order."""
    starts = range(0, len(paths), _FILES_PER_TASK)
    return [paths[start : start + _FILES_PER_TASK] for start in starts]


def _digests(paths: list[str]) -> list[tuple[str, bytes] | str]:
    return [_digest(path) for path in paths]


def _digest(path: str) -> tuple[str, bytes] | str:
    """Return the state (empty if not reliable) and digest of a file, or why there is none."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            before = os.fstat(file.fileno())
            started = time.time_ns()
            digest = hashlib.file_digest(file, content_hash)
            after = os.fstat(file.fileno())
    except OSError as error:
        return describe_os_error(error)
    if after.st_size == 0:
        return "is empty"
    old = started - after.st_mtime_ns > _TRUSTED_AGE_NS
    settled = old and _signature(before) == _signature(after)
    return (_signature(after) if settled else "", digest.digest())


class _DigestCache:
    """SQLite cache of digests by path. It only saves time, so errors are ignored."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._connection: sqlite3.Connection | None = None

    def get(self, paths: list[str]) -> dict[str, tuple[str, bytes]]:
        """Return the state and digest of the paths that are cached."""
        return self._attempt(lambda connection: _select(connection, paths)) or {}

    def put(self, rows: list[tuple[str, str, bytes]]) -> None:
        """Store state and digest by path."""
        if rows:
            self._attempt(lambda connection: _insert(connection, rows))

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _attempt(self, action: Callable[[sqlite3.Connection], T]) -> T | None:
        """Run an action on the database; None if it fails. A damaged database is recreated."""
        for _ in range(2):
            try:
                if self._connection is None:
                    self._connection = _open(self._file)
                return action(self._connection)
            except sqlite3.Error as error:
                if getattr(error, "sqlite_errorcode", 0) & 0xFF not in _DAMAGED:
                    return None
                self.close()
                with suppress(OSError):
                    for suffix in ("", "-wal", "-shm"):
                        path = self._file.with_name(self._file.name + suffix)
                        path.unlink(missing_ok=True)
            except OSError:
                return None
        return None


def _open(file: Path) -> sqlite3.Connection:
    file.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(file, timeout=30)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute(_TABLE)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _select(connection: sqlite3.Connection, paths: list[str]) -> dict[str, tuple[str, bytes]]:
    known: dict[str, tuple[str, bytes]] = {}
    for start in range(0, len(paths), _BATCH):
        keys = [os.fsencode(path) for path in paths[start : start + _BATCH]]
        marks = ",".join("?" * len(keys))
        rows = connection.execute(
            f"SELECT path, state, digest FROM digests_1 WHERE path IN ({marks})",  # noqa: S608
            keys,
        )
        known.update((os.fsdecode(path), (state, bytes(d))) for path, state, d in rows)
    return known


def _insert(connection: sqlite3.Connection, rows: list[tuple[str, str, bytes]]) -> None:
    with connection:
        connection.executemany(
            "INSERT OR REPLACE INTO digests_1 VALUES (?, ?, ?)",
            [(os.fsencode(path), state, digest) for path, state, digest in rows],
        )
