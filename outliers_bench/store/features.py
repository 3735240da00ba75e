"""Feature store: all computed vectors by image content, in one SQLite file per feature space."""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from outliers_bench.errors import BenchError
from outliers_bench.types import FloatArray, Reason

Vector: TypeAlias = npt.NDArray[Any]

SCHEMA = """
CREATE TABLE IF NOT EXISTS space (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS features (digest BLOB PRIMARY KEY, vector BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS unreadable
    (digest BLOB PRIMARY KEY, kind TEXT NOT NULL, reason TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS rates (how TEXT NOT NULL, images INTEGER NOT NULL, seconds REAL);
"""
VERSION = 1
BUSY_SECONDS = 60.0
LOOKUP_BATCH = 500  # the oldest builds of SQLite allow 999 parameters


class FeatureStore:
    """Vectors of one feature space, by the digest of the image content.

    A space comprises everything that the vectors depend on: weights, architecture, preprocessing,
    image size, pooling, decoder, numeric class. Writes are transactions: a killed process loses at
    most the current batch, and two processes can write at the same time.

    Parameters
    ----------
    directory : Path
        Directory of the files of all spaces; created if it does not exist.
    space : mapping of str to str, int or float
        The feature space. Its digest is part of the file name.
    dimensions : int or None
        Length of the vectors; None if it differs per image.
    dtype : str
        Data type of the stored numbers.

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
            # Readers write nothing here, and so never wait for a writer.
            if self._db.execute("PRAGMA user_version").fetchone() != (VERSION,):
                self._set_up(space)
        except sqlite3.OperationalError as error:  # locked, or disk full: the file may be intact
            raise self._unusable(error, "try again, or choose another cache.dir") from error
        except sqlite3.DatabaseError as error:
            advice = "delete the file to recompute its features"
            raise self._unusable(error, advice) from error
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
        """Return the stored vectors, shape (d,) each, of the digests that have one."""
        found: dict[bytes, Vector] = {}
        for digest, blob in self._look_up("SELECT digest, vector FROM features", digests):
            found[digest] = vector = np.frombuffer(blob, dtype=self._dtype)
            if self._dimensions and vector.shape != (self._dimensions,):
                raise BenchError(
                    f"the feature store {self.path} contains vectors of another length than "
                    f"{self._dimensions}; delete the file to recompute its features"
                )
        return found

    def matrix(self, digests: Sequence[bytes]) -> FloatArray:
        """Return the vectors, shape (n, d), of digests that all have one, without a second copy."""
        length = self._dimensions or sum(v.size for v in self.get(digests[:1]).values())
        rows = np.empty((len(digests), length), dtype=np.float32)
        for start in range(0, len(digests), LOOKUP_BATCH):
            batch = digests[start : start + LOOKUP_BATCH]
            vectors = self.get(batch)
            for row, digest in enumerate(batch, start):
                rows[row] = vectors[digest]
        return rows

    def known(self, digests: Sequence[bytes]) -> set[bytes]:
        """Return the digests that need no computation: stored, or known to be unreadable."""
        return {row[0] for row in self._look_up("SELECT digest FROM features", digests)} | {
            row[0] for row in self._look_up("SELECT digest FROM unreadable", digests)
        }

    def empty(self, digests: Sequence[bytes]) -> set[bytes]:
        """Return the digests whose stored vector is empty."""
        select = "SELECT digest, length(vector) FROM features"
        return {digest for digest, size in self._look_up(select, digests) if not size}

    def nbytes(self, digests: Sequence[bytes]) -> int:
        """Return the total size of the vectors of these digests."""
        rows = self._look_up("SELECT length(vector) FROM features", digests)
        return sum(size for (size,) in rows)

    def unreadable(self, digests: Sequence[bytes]) -> dict[bytes, Reason]:
        """Return the digests whose image cannot be decoded, with the reason."""
        rows = self._look_up("SELECT digest, kind, reason FROM unreadable", digests)
        return {digest: Reason(kind, reason) for digest, kind, reason in rows}

    def add(
        self,
        vectors: Iterable[tuple[bytes, Vector]],
        unreadable: Iterable[tuple[bytes, Reason]] = (),
        *,
        seconds: float = 0.0,
        how: str = "",
    ) -> None:
        """Store vectors and unreadable images in one transaction.

        Vectors that another process has stored in the meantime are not replaced. `seconds` is the
        wall time of the computation, `how` its engine and machine, for `images_per_second`.

        Raises
        ------
        BenchError
            If the disk is full, or another process locks the file for a minute.
        """
        vectors = list(vectors)
        rows = ((digest, vector.astype(self._dtype).tobytes()) for digest, vector in vectors)
        try:
            with self._db:
                self._db.executemany("INSERT OR IGNORE INTO features VALUES (?, ?)", rows)
                self._db.executemany(
                    "INSERT OR IGNORE INTO unreadable VALUES (?, ?, ?)",
                    ((digest, *reason) for digest, reason in unreadable),
                )
                self._db.execute("INSERT INTO rates VALUES (?, ?, ?)", (how, len(vectors), seconds))
        except sqlite3.DatabaseError as error:
            raise self._unusable(error, "earlier features are stored; start again") from error

    def images_per_second(self, how: str = "") -> float | None:
        """Return the rate of computing vectors of this space with `how`; None without any."""
        query = "SELECT SUM(images), SUM(seconds) FROM rates WHERE how = ?"
        images, seconds = self._db.execute(query, (how,)).fetchone()
        return images / seconds if images and seconds else None

    def _set_up(self, space: Mapping[str, str | int | float]) -> None:
        # WAL allows reading during a write, and survives a killed process.
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.executescript(SCHEMA)
        rows = [(key, json.dumps(value)) for key, value in space.items()]
        with self._db:
            self._db.executemany("INSERT OR IGNORE INTO space VALUES (?, ?)", rows)
            self._db.execute(f"PRAGMA user_version = {VERSION}")

    def _unusable(self, error: sqlite3.Error, advice: str) -> BenchError:
        return BenchError(f"the feature store {self.path} cannot be used ({error}); {advice}")

    def _look_up(self, select: str, digests: Sequence[bytes]) -> Iterable[tuple[Any, ...]]:
        for start in range(0, len(digests), LOOKUP_BATCH):
            batch = digests[start : start + LOOKUP_BATCH]
            marks = ",".join("?" * len(batch))
            yield from self._db.execute(f"{select} WHERE digest IN ({marks})", batch)


def file_stem(space: Mapping[str, str | int | float]) -> str:
    """Return the file name of a space, without extension: its architecture and digest."""
    digest = hashlib.blake2b(json.dumps(space, sort_keys=True).encode(), digest_size=8).hexdigest()
    readable = re.sub(r"[^A-Za-z0-9]+", "-", f"{space.get('architecture', '')}").strip("-").lower()
    return f"{readable}-{digest}"


Space: TypeAlias = dict[str, str | int | float]
