"""Content digests of files, cached until the files change."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from itertools import chain
from pathlib import Path
from sqlite3 import SQLITE_CORRUPT, SQLITE_NOTADB
from typing import TypeVar

from outliers_bench.data.content_hash import content_hash
from outliers_bench.data.image_files import describe_os_error
from outliers_bench.runtime.machine import cores
from outliers_bench.runtime.progress import track
from outliers_bench.store.database import checksum_of
from outliers_bench.store.files import remove
from outliers_bench.types import LeftOut

T = TypeVar("T")

_TRUSTED_AGE_NS = 2_000_000_000
_PATHS_PER_QUERY = 500
_ROWS_PER_COMMIT = 2000
_FILES_PER_TASK = 16
_TABLE = """
CREATE TABLE IF NOT EXISTS digests_2 (
    path BLOB PRIMARY KEY, state TEXT NOT NULL, digest BLOB NOT NULL, crc INTEGER NOT NULL
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
    stored = cache / "digests.sqlite"
    known = _attempt(stored, partial(_select, paths=list(paths.values()))) or {}
    digests: dict[str, bytes] = {}
    changed = []
    for name, path in paths.items():
        state, digest = known.get(path, ("", b""))
        if state and state == _state(path):
            digests[name] = digest
        else:
            changed.append(name)
    left_out = []
    fresh: list[tuple[str, str, bytes]] = []
    # Several files per task: submitting a task takes as long as hashing a file.
    tasks = [
        [paths[name] for name in changed[at : at + _FILES_PER_TASK]]
        for at in range(0, len(changed), _FILES_PER_TASK)
    ]
    with ThreadPoolExecutor(min(8, 2 * cores())) as pool:
        results = chain.from_iterable(pool.map(lambda task: list(map(_digest, task)), tasks))
        for name, result in zip(
            changed, track(results, stage="digest", total=len(changed)), strict=True
        ):
            if isinstance(result, str):
                left_out.append(LeftOut(name, "unreadable", result))
                continue
            state, digests[name] = result
            if state:
                fresh.append((paths[name], state, digests[name]))
            if len(fresh) == _ROWS_PER_COMMIT:
                _attempt(stored, partial(_insert, rows=fresh))
                fresh = []
    if fresh:
        _attempt(stored, partial(_insert, rows=fresh))
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


def _attempt(file: Path, action: Callable[[sqlite3.Connection], T]) -> T | None:
    """Run an action on the database, which only saves time: None if that fails.

    A damaged database is removed, and the next action creates it again.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(file, timeout=30)) as database:
            database.execute("PRAGMA journal_mode=WAL")
            database.execute("PRAGMA synchronous=NORMAL")
            database.text_factory = lambda text: text.decode(errors="replace")  # may be damaged
            database.execute(_TABLE)
            _upgrade(database)
            return action(database)
    except (OSError, UnicodeDecodeError):
        return None
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in (SQLITE_CORRUPT, SQLITE_NOTADB):
            for suffix in ("", "-wal", "-shm"):
                remove(file.with_name(file.name + suffix))
        return None


def _upgrade(database: sqlite3.Connection) -> None:
    """Take over the digests of the table of earlier versions, which had no checksums."""
    if database.execute("SELECT 1 FROM sqlite_master WHERE name = 'digests_1'").fetchone():
        with database:
            rows = database.execute("SELECT * FROM digests_1").fetchall()
            database.executemany(
                "INSERT OR IGNORE INTO digests_2 VALUES (?, ?, ?, ?)",
                [(*row, checksum_of(row)) for row in rows],
            )
            database.execute("DROP TABLE digests_1")


def _select(database: sqlite3.Connection, paths: list[str]) -> dict[str, tuple[str, bytes]]:
    known: dict[str, tuple[str, bytes]] = {}
    for start in range(0, len(paths), _PATHS_PER_QUERY):
        keys = [os.fsencode(path) for path in paths[start : start + _PATHS_PER_QUERY]]
        marks = ",".join("?" * len(keys))
        rows = database.execute(
            f"SELECT * FROM digests_2 WHERE path IN ({marks})",  # noqa: S608
            keys,
        )
        known.update(
            (os.fsdecode(path), (state, digest))
            for path, state, digest, crc in rows
            if checksum_of((path, state, digest)) == crc  # others are read again
        )
    return known


def _insert(database: sqlite3.Connection, rows: list[tuple[str, str, bytes]]) -> None:
    values = [(os.fsencode(path), state, digest) for path, state, digest in rows]
    with database:
        database.executemany(
            "INSERT OR REPLACE INTO digests_2 VALUES (?, ?, ?, ?)",
            [(*row, checksum_of(row)) for row in values],
        )
