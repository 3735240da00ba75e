"""Submissions in SQLite; a submission is on disk before it is confirmed."""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

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
    """A submission: its number, its time (seconds since 1970), its group and its scores.

    `parts` are the scores over the public and the private part of the queries, if there are any.
    """

    number: int
    time: float
    group: str
    score: SubmissionScore
    parts: Mapping[str, SubmissionScore] = field(default_factory=dict)

    def score_of(self, part: str) -> SubmissionScore:
        """Return the score over all queries, the public or the private ones; empty without one."""
        return self.score if part == "all" else self.parts.get(part, SubmissionScore({}, {}))


class SubmissionStore:
    """Submissions to a competition, in an SQLite file that several processes may share.

    Bodies are never changed or deleted. `BenchError` if the file cannot be written, or is no
    database.

    Parameters
    ----------
    path : Path
    split : str
        Fingerprint of the photos; submissions for others are ignored.
    public_share : float
        Servers with different shares may use one file; each has scores of its own parts.
    score_parts : callable or None
        Scores of the parts from a body, for submissions that another server has accepted; None if
        there are no parts.
    """

    def __init__(
        self,
        path: Path,
        split: str,
        public_share: float = 1.0,
        score_parts: Callable[[bytes], Mapping[str, SubmissionScore]] | None = None,
    ) -> None:
        self._path, self._split, self._share = path, split, f"public_share={public_share}"
        self._score_parts = score_parts
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
        parts: Mapping[str, SubmissionScore],
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
        scores_json = json.dumps({**asdict(score), "parts": self._parts_content(parts)})
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
        return Entry(int(number or 0), now, group, score, parts)

    def add_parts(self) -> int:
        """Add the scores of parts to submissions without them; return their number."""
        if self._score_parts is None:
            return 0
        with self._connect() as connection:
            rows = connection.execute(
                "SELECT id, body FROM submissions_1 WHERE split = ? AND instr(worth, ?) = 0",
                (self._split, json.dumps(self._share)),
            ).fetchall()
            for number, body in rows:
                scores = self._parts_content(self._score_parts(zlib.decompress(body)))
                # In one statement, because another server may add those of its share.
                connection.execute(
                    "UPDATE submissions_1 SET worth = json_patch(worth, ?) WHERE id = ?",
                    (json.dumps({"parts": scores}), number),
                )
        return len(rows)

    def entries(self) -> list[Entry]:
        """Return the submissions to this competition, oldest first."""
        self.add_parts()
        with self._connect() as connection:
            rows = connection.execute(
                "SELECT id, at, groupname, worth FROM submissions_1 WHERE split = ? ORDER BY id",
                (self._split,),
            ).fetchall()
        return [
            Entry(number, time, group, *self._parse_scores(scores_json))
            for number, time, group, scores_json in rows
        ]

    def count_other_splits(self) -> int:
        """Return the number of submissions for other photos in the same file."""
        with self._connect() as connection:
            row = connection.execute(
                "SELECT COUNT(*) FROM submissions_1 WHERE split <> ?", (self._split,)
            ).fetchone()
        return int(row[0])

    def _parts_content(self, parts: Mapping[str, SubmissionScore]) -> dict[str, object]:
        return {self._share: {part: asdict(score) for part, score in parts.items()}}

    def _parse_scores(self, scores_json: str) -> tuple[SubmissionScore, dict[str, SubmissionScore]]:
        content = json.loads(scores_json)
        parts = content.get("parts", {}).get(self._share, {})
        return _parse_score(content), {part: _parse_score(each) for part, each in parts.items()}

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


def _parse_score(content: Mapping[str, Any]) -> SubmissionScore:
    intervals = {name: (low, high) for name, (low, high) in content["intervals"].items()}
    return SubmissionScore(content["metrics"], intervals)
