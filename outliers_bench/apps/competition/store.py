"""Submissions in SQLite; a submission is on disk before it is confirmed."""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from outliers_bench.apps.competition.group_names import group_key
from outliers_bench.apps.competition.score import SubmissionScore
from outliers_bench.errors import BenchError
from outliers_bench.web.refusal import RefusedError

_LOCK_TIMEOUT = 30.0  # seconds to wait while another process writes
_HOUR = 3600.0  # seconds
_DAY = 24 * _HOUR
_TABLE = """
CREATE TABLE IF NOT EXISTS submissions_1 (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at REAL NOT NULL,
    split TEXT NOT NULL,
    groupname TEXT NOT NULL,
    worth TEXT NOT NULL,
    body BLOB NOT NULL,
    address TEXT
);
CREATE INDEX IF NOT EXISTS submissions_1_group ON submissions_1 (split, groupname, at);
"""


@dataclass(frozen=True)
class Entry:
    """A submission: its number, its time (seconds since 1970), its group and its score."""

    number: int
    time: float
    group: str
    score: SubmissionScore


class SubmissionStore:
    """Submissions to a competition, in an SQLite file that several processes may share.

    Submissions are never changed or deleted. Those for other photos than those with the fingerprint
    `split` are ignored. `BenchError` if the file cannot be written, or is no database.
    """

    def __init__(self, path: Path, split: str) -> None:
        self._path, self._split = path, split
        try:
            with self._connect() as connection:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.executescript(_TABLE)
                connection.execute("BEGIN IMMEDIATE")
                columns = connection.execute("PRAGMA table_info(submissions_1)").fetchall()
                if "address" not in [name for _, name, *_ in columns]:  # an earlier version's file
                    connection.execute("ALTER TABLE submissions_1 ADD COLUMN address TEXT")
                connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise BenchError(
                f"store={path}: submissions cannot be stored there ({error}); give another file"
            ) from None

    def add(
        self,
        group: str,
        score: SubmissionScore,
        body: bytes,
        *,
        address: str,
        now: float,
        per_hour: int,
        per_day: int,
    ) -> Entry:
        """Write a submission, as received, to disk.

        Raises
        ------
        RefusedError
            429 if there are `per_hour` submissions of the address, or of the group, in the hour
            before `now`, or `per_day` in the 24 hours.
        """
        scores_json = json.dumps({"metrics": score.metrics, "intervals": score.intervals})
        row = (now, self._split, group, scores_json, zlib.compress(body), address)
        with self._connect() as connection, connection:
            connection.execute("BEGIN IMMEDIATE")  # count and insert in one transaction
            recent = connection.execute(
                "SELECT at, address, groupname FROM submissions_1 WHERE split = ? AND at > ? "
                "ORDER BY at DESC",
                (self._split, now - _DAY),
            ).fetchall()
            key = group_key(group)
            of_address = [at for at, sender, _ in recent if sender == address]
            of_group = [at for at, _, name in recent if group_key(name) == key]
            for sender, times in (("your address", of_address), (group, of_group)):
                _check_limit(sender, times, per_hour, "hour", now=now)
                _check_limit(sender, times, per_day, "day", now=now)
            number = connection.execute(
                "INSERT INTO submissions_1 (at, split, groupname, worth, body, address) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                row,
            ).lastrowid
        return Entry(int(number or 0), now, group, score)

    def entries(self) -> list[Entry]:
        """Return the submissions to this competition, oldest first."""
        with self._connect() as connection:
            rows = connection.execute(
                "SELECT id, at, groupname, worth FROM submissions_1 WHERE split = ? ORDER BY id",
                (self._split,),
            ).fetchall()
        return [
            Entry(number, time, group, _parse_score(scores_json))
            for number, time, group, scores_json in rows
        ]

    def count_other_splits(self) -> int:
        """Return the number of submissions for other photos in the same file."""
        with self._connect() as connection:
            row = connection.execute(
                "SELECT COUNT(*) FROM submissions_1 WHERE split <> ?", (self._split,)
            ).fetchone()
        return int(row[0])

    @contextmanager
    def _connect(self) -> Iterator[sqlite3.Connection]:
        with closing(
            sqlite3.connect(self._path, timeout=_LOCK_TIMEOUT, isolation_level=None)
        ) as connection:
            connection.execute("PRAGMA synchronous = FULL")
            yield connection


def _check_limit(sender: str, times: Sequence[float], limit: int, unit: str, *, now: float) -> None:
    """Raise `RefusedError` if `limit` of the times, latest first, are in the last hour or day."""
    seconds = _HOUR if unit == "hour" else _DAY
    if len(times) >= limit and times[limit - 1] > now - seconds:
        raise RefusedError(
            429,
            f"{sender} has reached the limit of {limit:,} submissions per {unit}",
            retry_after=times[limit - 1] + seconds - now,
        )


def _parse_score(scores_json: str) -> SubmissionScore:
    content = json.loads(scores_json)
    intervals = {name: (low, high) for name, (low, high) in content["intervals"].items()}
    return SubmissionScore(content["metrics"], intervals)
