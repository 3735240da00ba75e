"""The feature store: every vector ever computed, by image content, in one SQLite file a space."""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from outliers_bench.errors import BenchError
from outliers_bench.types import FloatArray

Vector: TypeAlias = npt.NDArray[Any]

SCHEMA = """
CREATE TABLE IF NOT EXISTS space (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS features (digest BLOB PRIMARY KEY, vector BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS unreadable (digest BLOB PRIMARY KEY, reason TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS rates (how TEXT NOT NULL, images INTEGER NOT NULL, seconds REAL);
"""
VERSION = 1
BUSY_SECONDS = 60.0
LOOK_UP = 500  # SQLite admits 999 parameters in its oldest builds


class FeatureStore:
    """Vectors of one feature space, found by the digest of the image they came from.

    A space is everything the numbers depend on: weights, architecture, preprocessing, image size,
    pooling, decoder, numeric class. What is committed is whole: a killed process loses at most
    the batch in hand, and two processes may write at once.

    Parameters
    ----------
    directory : Path
        Where the files of all spaces lie; made if need be.
    space : mapping of str to str, int or float
        The space. Its digest is part of the file's name.
    dimensions : int or None
        Length of the vectors; None where each image has its own.
    dtype : str
        Of the numbers, as they lie in the file.

    Raises
    ------
    BenchError
        If the directory cannot be written or the file is damaged.
    """

    def __init__(
        self,
        directory: Path,
        space: Mapping[str, str | int | float],
        dimensions: int | None,
        dtype: str = "<f4",
    ) -> None:
        self._dimensions = dimensions
        self._dtype = np.dtype(dtype)
        self.path = directory / f"{file_stem(space)}.sqlite"
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(self.path, timeout=BUSY_SECONDS)
            self._db.execute("PRAGMA synchronous=NORMAL")
            # Whoever only reads writes nothing, and so never waits for one that does.
            if self._db.execute("PRAGMA user_version").fetchone() != (VERSION,):
                self._set_up(space)
        except sqlite3.OperationalError as error:  # locked, or no room: the file may be sound
            raise self._unusable(error, "try again, or choose another cache.dir") from error
        except sqlite3.DatabaseError as error:
            way_out = "delete the file to have its features computed anew"
            raise self._unusable(error, way_out) from error
        except OSError as error:
            raise BenchError(
                f"cache.dir={directory.parent} cannot be written ({error.strerror}); "
                "choose another with cache.dir=<folder>"
            ) from error

    def __enter__(self) -> FeatureStore:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._db.close()

    def get(self, digests: Sequence[bytes]) -> dict[bytes, Vector]:
        """The stored vectors, shape (d,) each, of those digests that have one."""
        return dict(self._vectors(digests))

    def matrix(self, digests: Sequence[bytes]) -> FloatArray:
        """The vectors of digests that all have one, without a second copy of them in memory.

        Returns
        -------
        array of float32, shape (n, d)
            Rows in the order of `digests`.
        """
        rows = np.empty((len(digests), self._dimensions or 0), dtype=np.float32)
        for start in range(0, len(digests), LOOK_UP):
            some = digests[start : start + LOOK_UP]
            found = self.get(some)
            for row, digest in enumerate(some, start):
                rows[row] = found[digest]
        return rows

    def _vectors(self, digests: Sequence[bytes]) -> Iterator[tuple[bytes, Vector]]:
        expected = self._dimensions
        for digest, blob in self._look_up("SELECT digest, vector FROM features", digests):
            vector = np.frombuffer(blob, dtype=self._dtype)
            if expected and vector.shape != (expected,):
                raise BenchError(
                    f"the feature store {self.path} holds vectors of another length than "
                    f"{expected}; delete the file to have its features computed anew"
                )
            yield digest, vector

    def known(self, digests: Sequence[bytes]) -> set[bytes]:
        """Those digests that need no work: stored, or known to be unreadable."""
        return {row[0] for row in self._look_up("SELECT digest FROM features", digests)} | {
            row[0] for row in self._look_up("SELECT digest FROM unreadable", digests)
        }

    def empty(self, digests: Sequence[bytes]) -> set[bytes]:
        """Those digests whose vector is stored and has no number in it."""
        select = "SELECT digest, length(vector) FROM features"
        return {digest for digest, size in self._look_up(select, digests) if not size}

    def nbytes(self, digests: Sequence[bytes]) -> int:
        """Size of the vectors of those digests, together."""
        rows = self._look_up("SELECT length(vector) FROM features", digests)
        return sum(size for (size,) in rows)

    def unreadable(self, digests: Sequence[bytes]) -> dict[bytes, str]:
        """Those digests whose image cannot be decoded, and why."""
        rows = self._look_up("SELECT digest, reason FROM unreadable", digests)
        return {digest: str(reason) for digest, reason in rows}

    def add(
        self,
        vectors: Iterable[tuple[bytes, Vector]],
        unreadable: Iterable[tuple[bytes, str]] = (),
        *,
        seconds: float = 0.0,
        how: str = "",
    ) -> None:
        """Store vectors, and reasons why others have none, in one transaction.

        Parameters
        ----------
        vectors : iterable of (bytes, array, shape (d,))
            What another process has stored meanwhile stays as it is.
        unreadable : iterable of (bytes, str)
            Digest and reason.
        seconds : float
            Wall time that these vectors took, for `images_per_second`.
        how : str
            What computed them: rates of different engines or machines are kept apart.

        Raises
        ------
        BenchError
            If there is no room for them, or another process holds the file for a minute.
        """
        vectors = list(vectors)
        rows = ((digest, vector.astype(self._dtype).tobytes()) for digest, vector in vectors)
        try:
            with self._db:
                self._db.executemany("INSERT OR IGNORE INTO features VALUES (?, ?)", rows)
                self._db.executemany("INSERT OR IGNORE INTO unreadable VALUES (?, ?)", unreadable)
                self._db.execute("INSERT INTO rates VALUES (?, ?, ?)", (how, len(vectors), seconds))
        except sqlite3.DatabaseError as error:
            raise self._unusable(error, "what was stored before is kept; start again") from error

    def images_per_second(self, how: str = "") -> float | None:
        """Rate at which vectors of this space were computed that way; None if none were."""
        query = "SELECT SUM(images), SUM(seconds) FROM rates WHERE how = ?"
        images, seconds = self._db.execute(query, (how,)).fetchone()
        return images / seconds if images and seconds else None

    def _set_up(self, space: Mapping[str, str | int | float]) -> None:
        # WAL lets others read while one writes, and survives the death of the process.
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.executescript(SCHEMA)
        rows = [(key, json.dumps(value)) for key, value in space.items()]
        with self._db:
            self._db.executemany("INSERT OR IGNORE INTO space VALUES (?, ?)", rows)
            self._db.execute(f"PRAGMA user_version = {VERSION}")

    def _unusable(self, error: sqlite3.Error, way_out: str) -> BenchError:
        return BenchError(f"the feature store {self.path} cannot be used ({error}); {way_out}")

    def _look_up(self, select: str, digests: Sequence[bytes]) -> Iterable[tuple[Any, ...]]:
        for start in range(0, len(digests), LOOK_UP):
            some = digests[start : start + LOOK_UP]
            marks = ",".join("?" * len(some))
            yield from self._db.execute(f"{select} WHERE digest IN ({marks})", some)


def file_stem(space: Mapping[str, str | int | float]) -> str:
    """A file name for a space: something to recognize it by, and its digest."""
    digest = hashlib.blake2b(json.dumps(space, sort_keys=True).encode(), digest_size=8).hexdigest()
    readable = re.sub(r"[^A-Za-z0-9]+", "-", f"{space.get('architecture', '')}").strip("-").lower()
    return f"{readable}-{digest}"


Space: TypeAlias = dict[str, str | int | float]
