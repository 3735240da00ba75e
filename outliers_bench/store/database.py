"""SQLite file of a feature store: its tables, a checksum for each row, and its repair."""

from __future__ import annotations

import json
import logging
import os
import sqlite3
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from outliers_bench.store.files import remove
from outliers_bench.store.memo import locked

T = TypeVar("T")

VERSION = 2  # 1 had no checksums
BUSY_SECONDS = 60.0
DAMAGED = ".damaged"  # appended to the name of a file that is not a database any more
_TABLES = {
    "features": "(digest BLOB PRIMARY KEY, vector BLOB NOT NULL, checksum INTEGER)",
    "unreadable": (
        "(digest BLOB PRIMARY KEY, kind TEXT NOT NULL, reason TEXT NOT NULL, checksum INTEGER)"
    ),
    "rates": "(how TEXT NOT NULL, images INTEGER NOT NULL, seconds REAL, checksum INTEGER)",
}
_TYPES: dict[str, tuple[type, ...]] = {  # of the columns without the checksum
    "features": (bytes, bytes),
    "unreadable": (bytes, str, str),
    "rates": (str, int, float),
}
_BLOCK = 500  # rows in memory
ERRORS = (sqlite3.DatabaseError, UnicodeDecodeError)
# SQLITE_ERROR: a damaged schema has no such table or column.
_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)
# Statements have only the names above, and all values as parameters.
# ruff: noqa: S608
_log = logging.getLogger(__name__)


def checksum_of(row: Iterable[bytes | str | float | None]) -> int:
    """Return the CRC-32 of the values of a row."""
    total = 0
    for value in row:
        content = value if isinstance(value, bytes) else f"{value}".encode(errors="replace")
        total = zlib.crc32(content, total)
    return total


def connect(path: Path, space: Mapping[str, str | int | float]) -> sqlite3.Connection:
    """Open a feature store's file; create it, or add checksums to one of an earlier version.

    Raises
    ------
    sqlite3.DatabaseError
        If the file is damaged or locked, or the disk is full.
    """
    database = _open(path)
    try:
        # Readers write nothing here, and so never wait for a writer.
        if _version(database) != VERSION:
            with locked(path):  # SQLite does not wait for the change to WAL
                # WAL allows reading during a write, and survives a killed process.
                database.execute("PRAGMA journal_mode=WAL")
                _set_up(database, space)
    except ERRORS:
        database.close()
        raise
    return database


def insert(database: sqlite3.Connection, table: str, rows: Iterable[Sequence[Any]]) -> int:
    """Insert rows with their checksums, unless they exist; return how many are new."""
    values = [(*row, checksum_of(row)) for row in rows]
    marks = ",".join("?" * (len(_TYPES[table]) + 1))
    before = database.total_changes
    database.executemany(f"INSERT OR IGNORE INTO {table} VALUES ({marks})", values)
    return database.total_changes - before


def intact_rows(table: str, rows: Iterable[Sequence[Any]]) -> list[Sequence[Any]]:
    """Return the rows with a correct checksum, without it."""
    types = _TYPES[table]
    width = len(types)
    return [
        row[:width]
        for row in rows
        if len(row) == width + 1
        and checksum_of(row[:width]) == row[width]
        and all(map(isinstance, row, types))  # text and bytes may have the same checksum
    ]


def is_damage(error: Exception) -> bool:
    """Check whether one of `ERRORS` means damage, and not a lock or a full disk."""
    is_name = isinstance(error, UnicodeDecodeError)  # of a table or a column
    return is_name or getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGE


def repair(path: Path, space: Mapping[str, str | int | float]) -> None:
    """Replace the content of a damaged file by its rows with a correct checksum; log a warning.

    The file itself stays, since other processes may have it open. One that SQLite cannot open at
    all is renamed, with `DAMAGED` appended.

    Raises
    ------
    sqlite3.DatabaseError
        If another process locks the file, or the disk is full.
    """
    with locked(path), closing(_open("")) as intact:  # a temporary file of SQLite
        _set_up(intact, space)
        lost = _copy_intact_rows(path, intact)
        try:
            _overwrite(path, intact)
        except ERRORS as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            # A damaged header may forbid writing.
            is_header = code == sqlite3.SQLITE_READONLY and os.access(path, os.W_OK)
            if not (is_damage(error) or is_header):
                raise
            for suffix in ("-wal", "-shm"):
                remove(path.with_name(path.name + suffix))
            with suppress(OSError):
                path.replace(path.with_name(path.name + DAMAGED))
            _overwrite(path, intact)
    what = "its features are" if lost is None else f"{lost:,} of its rows are"
    _log.warning("%s was damaged: %s computed again when needed", path, what)


def read_space(path: Path) -> dict[str, Any]:
    """Return the feature space of a file; empty if it cannot be read."""
    with suppress(*ERRORS, ValueError), closing(_open_to_read(path)) as source:
        return {key: json.loads(value) for key, value in source.execute("SELECT * FROM space")}
    return {}


def count_damaged(path: Path) -> int | None:
    """Return the number of damaged rows of a file; None if it cannot be read as a whole."""
    damaged = 0
    try:
        with closing(_open_to_read(path)) as source:
            if _version(source) != VERSION:
                return 0  # without checksums
            for table in _TABLES:
                rows = source.execute(f"SELECT * FROM {table}")
                while block := rows.fetchmany(_BLOCK):
                    damaged += len(block) - len(intact_rows(table, block))
    except ERRORS as error:
        if not is_damage(error):
            raise
        return None
    return damaged


def is_open(path: Path) -> bool:
    """Check whether a process has a file open, this one included."""
    with closing(sqlite3.connect(path, timeout=0)) as database:
        try:
            database.execute("PRAGMA locking_mode = EXCLUSIVE")
            database.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError:
            return True
        except ERRORS:
            return False  # damaged
    return False


def _open_to_read(path: Path) -> sqlite3.Connection:
    source = sqlite3.connect(path, timeout=BUSY_SECONDS)
    source.text_factory = _decode
    return source


def _open(path: Path | str) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=BUSY_SECONDS)
    database.text_factory = _decode
    try:
        database.execute("PRAGMA synchronous=NORMAL")
    except ERRORS:
        database.close()
        raise
    return database


def _decode(text: bytes) -> str:
    return text.decode(errors="replace")  # of damaged text the checksum is compared


def _set_up(database: sqlite3.Connection, space: Mapping[str, str | int | float]) -> None:
    """Create missing tables and checksums, in one transaction."""
    rows = [(key, json.dumps(value)) for key, value in space.items()]
    with database:
        database.execute("BEGIN IMMEDIATE")
        database.execute(
            "CREATE TABLE IF NOT EXISTS space (key TEXT PRIMARY KEY, value TEXT NOT NULL)"
        )
        database.executemany("INSERT OR IGNORE INTO space VALUES (?, ?)", rows)
        for table, columns in _TABLES.items():
            database.execute(f"CREATE TABLE IF NOT EXISTS {table} {columns}")
            names = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
            if "checksum" not in names:
                database.execute(f"ALTER TABLE {table} ADD COLUMN checksum INTEGER")
                _add_checksums(database, table)
        database.execute(f"PRAGMA user_version = {VERSION}")


def _copy_intact_rows(path: Path, intact: sqlite3.Connection) -> int | None:
    """Copy the intact rows of a damaged file; return how many are lost, None if unknown."""
    lost: int | None = 0
    with closing(_open_to_read(path)) as source:
        for table in _TABLES:
            copied = 0
            count = _attempt(partial(_count_rows, source, table))
            if count is not None:
                with intact:
                    for first in range(1, count + 1, _BLOCK):
                        copied += _copy_rows(source, intact, table, first, first + _BLOCK - 1)
            lost = None if lost is None or count is None else lost + count - copied
    return lost


def _count_rows(source: sqlite3.Connection, table: str) -> int:
    # Otherwise SQLite refuses a file that is shorter than its header says.
    source.execute("PRAGMA writable_schema = ON")
    # Rows are never deleted, so that the largest number is their count.
    count = _attempt(lambda: source.execute(f"SELECT MAX(rowid) FROM {table}").fetchone()[0] or 0)
    if count is None:  # the last rows are damaged; the index may not be
        count = source.execute(f"SELECT COUNT(digest) FROM {table}").fetchone()[0]
    return int(count)


def _copy_rows(
    source: sqlite3.Connection, intact: sqlite3.Connection, table: str, first: int, last: int
) -> int:
    """Copy the intact rows of a range of numbers; halve the range if a part is damaged."""
    select = f"SELECT * FROM {table} WHERE rowid BETWEEN ? AND ?"
    rows = _attempt(lambda: source.execute(select, (first, last)).fetchall())
    if rows is not None:
        is_old = rows and len(rows[0]) == len(_TYPES[table]) and _version(source) == 1
        return insert(intact, table, rows if is_old else intact_rows(table, rows))
    if first == last:
        return 0
    middle = (first + last) // 2
    lower = _copy_rows(source, intact, table, first, middle)
    return lower + _copy_rows(source, intact, table, middle + 1, last)


def _version(database: sqlite3.Connection) -> int:
    return int(database.execute("PRAGMA user_version").fetchone()[0])


def _attempt(action: Callable[[], T]) -> T | None:
    """Return the result of an action; None if a part that it reads is damaged."""
    try:
        return action()
    except ERRORS as error:
        if not is_damage(error):
            raise
        return None


def _add_checksums(database: sqlite3.Connection, table: str) -> None:
    # Not by a function in SQL, in which SQLite would lose a KeyboardInterrupt.
    (count,) = database.execute(f"SELECT MAX(rowid) FROM {table}").fetchone()
    for first in range(1, (count or 0) + 1, _BLOCK):
        rows = database.execute(
            f"SELECT rowid, * FROM {table} WHERE rowid BETWEEN ? AND ?", (first, first + _BLOCK - 1)
        ).fetchall()
        database.executemany(
            f"UPDATE {table} SET checksum = ? WHERE rowid = ?",
            ((checksum_of(values), number) for number, *values, _ in rows),
        )


def _overwrite(path: Path, content: sqlite3.Connection) -> None:
    """Replace the content of a database in one transaction, also for its other connections."""
    with closing(_open(path)) as database:
        database.execute("PRAGMA writable_schema = ON")
        content.backup(database)
        database.execute("PRAGMA journal_mode=WAL")
