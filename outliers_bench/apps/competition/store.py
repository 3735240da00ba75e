"""Submissions in SQLite: what was answered as accepted is on disk."""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from outliers_bench.apps.competition.check import RefusedError
from outliers_bench.apps.competition.score import SubmissionScore
from outliers_bench.errors import BenchError

_WAIT = 30.0  # seconds, for another process that writes
_HOUR = 3600.0
_TABLE = """
CREATE TABLE IF NOT EXISTS submissions_1 (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at REAL NOT NULL,
    split TEXT NOT NULL,
    groupname TEXT NOT NULL,
    worth TEXT NOT NULL,
    body BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS submissions_1_group ON submissions_1 (split, groupname, at);
"""


@dataclass(frozen=True)
class Entry:
    """One submission: its number, when it came (seconds since 1970), whose, and its worth."""

    number: int
    at: float
    group: str
    worth: SubmissionScore


class Store:
    """The submissions to one competition, in a file that several processes may share.

    Parameters
    ----------
    path : Path
        Made if it is not there. Submissions are never changed or deleted.
    split : str
        Fingerprint of the labeled photos; those to other photos are kept apart.

    Raises
    ------
    BenchError
        If the file cannot be written, or is something else.
    """

    def __init__(self, path: Path, split: str) -> None:
        self._path, self._split = path, split
        try:
            with self._connected() as connection:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.executescript(_TABLE)
        except sqlite3.Error as error:
            raise BenchError(
                f"store={path}: submissions cannot be kept there ({error}); name another file"
            ) from None

    def add(
        self, group: str, worth: SubmissionScore, body: bytes, *, now: float, per_hour: int
    ) -> Entry:
        """Keep a submission; on disk when this returns.

        Parameters
        ----------
        group : str
            Whose.
        worth : Worth
            Its scores.
        body : bytes
            What was sent.
        now : float
            Seconds since 1970.
        per_hour : int
            How many of a group are accepted within an hour.

        Raises
        ------
        RefusedError
            429 if the group has handed in too often.
        """
        told = json.dumps({"metrics": worth.metrics, "intervals": worth.intervals})
        row = (now, self._split, group, told, zlib.compress(body))
        with self._connected() as connection, connection:
            connection.execute("BEGIN IMMEDIATE")  # counted and added as one
            recent = connection.execute(
                "SELECT at FROM submissions_1 WHERE split = ? AND groupname = ? AND at > ? "
                "ORDER BY at DESC LIMIT ?",
                (self._split, group, now - _HOUR, per_hour),
            ).fetchall()
            if len(recent) >= per_hour:
                raise RefusedError(
                    429,
                    f"{group} has handed in {per_hour:,} times within an hour",
                    wait=recent[-1][0] + _HOUR - now,
                )
            number = connection.execute(
                "INSERT INTO submissions_1 (at, split, groupname, worth, body) "
                "VALUES (?, ?, ?, ?, ?)",
                row,
            ).lastrowid
        return Entry(int(number or 0), now, group, worth)

    def entries(self) -> list[Entry]:
        """The submissions to this competition, oldest first."""
        with self._connected() as connection:
            rows = connection.execute(
                "SELECT id, at, groupname, worth FROM submissions_1 WHERE split = ? ORDER BY id",
                (self._split,),
            ).fetchall()
        return [Entry(number, at, group, _worth(told)) for number, at, group, told in rows]

    def elsewhere(self) -> int:
        """How many submissions to other photos stand in the same file."""
        with self._connected() as connection:
            found = connection.execute(
                "SELECT COUNT(*) FROM submissions_1 WHERE split <> ?", (self._split,)
            ).fetchone()
        return int(found[0])

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        with closing(
            sqlite3.connect(self._path, timeout=_WAIT, isolation_level=None)
        ) as connection:
            connection.execute("PRAGMA synchronous = FULL")
            yield connection


def _worth(told: str) -> SubmissionScore:
    content = json.loads(told)
    intervals = {name: (low, high) for name, (low, high) in content["intervals"].items()}
    return SubmissionScore(content["metrics"], intervals)
