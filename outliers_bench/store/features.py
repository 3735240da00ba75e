"""Feature store: all computed vectors by image content, in one SQLite file per feature space."""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from outliers_bench.errors import BenchError
from outliers_bench.store.database import ERRORS, connect, insert, intact_rows, is_damage, repair
from outliers_bench.types import FloatArray, Reason

Vector: TypeAlias = npt.NDArray[Any]
Space: TypeAlias = dict[str, str | int | float]
T = TypeVar("T")

TRY_AGAIN = "try again, or choose another cache.dir"
LOOKUP_BATCH = 500  # the oldest builds of SQLite allow 999 parameters


class FeatureStore:
    """Vectors of one feature space, by the digest of the image content.

    A space comprises everything that the vectors depend on: weights, architecture, preprocessing,
    image size, pooling, decoder, numeric class. Writes are transactions: a killed process loses at
    most the current batch, and two processes can write at the same time. Every row has a checksum:
    a damaged one is absent, so that it is computed again, with a warning.

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
        If the directory cannot be written or the file is locked.
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
        self._space = space
        self.path = directory / f"{file_stem(space)}.sqlite"
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._db = self._connect()
        except ERRORS as error:  # locked, or disk full: the file may be intact
            raise self._unusable(error, TRY_AGAIN) from error
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
        for digest, blob in self._look_up("features", digests):
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
            if len(vectors) < len(set(batch)):
                raise BenchError(f"{self.path} was damaged during the run; start again")
            for row, digest in enumerate(batch, start):
                rows[row] = vectors[digest]
        return rows

    def known(self, digests: Sequence[bytes]) -> set[bytes]:
        """Return the digests that need no computation: stored, or known to be unreadable."""
        tables = ("features", "unreadable")
        connection = self._db
        found = {row[0] for table in tables for row in self._look_up(table, digests)}
        # A repair may also lose rows that were read before it.
        return found if self._db is connection else self.known(digests)

    def empty(self, digests: Sequence[bytes]) -> set[bytes]:
        """Return the digests whose stored vector is empty."""
        return {row[0] for row in self._look_up("features", digests, "length(vector) = 0 AND")}

    def nbytes(self, digests: Sequence[bytes]) -> int:
        """Return the total size of the vectors of these digests."""
        rows = self._select("SELECT length(vector) FROM features WHERE", digests)
        return sum(size for batch in rows for (size,) in batch)

    def unreadable(self, digests: Sequence[bytes]) -> dict[bytes, Reason]:
        """Return the digests whose image cannot be decoded, with the reason."""
        rows = self._look_up("unreadable", digests)
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
        rows = [(digest, vector.astype(self._dtype).tobytes()) for digest, vector in vectors]
        reasons = [(digest, *reason) for digest, reason in unreadable]

        def write() -> None:
            with self._db:
                insert(self._db, "features", rows)
                insert(self._db, "unreadable", reasons)
                insert(self._db, "rates", [(how, len(rows), float(seconds))])

        self._repairing(write, "earlier features are stored; start again")

    def images_per_second(self, how: str = "") -> float | None:
        """Return the rate of computing vectors of this space with `how`; None without any."""
        query = partial(self._fetch, "SELECT * FROM rates WHERE how = ?", (how,))
        intact = intact_rows("rates", self._repairing(query))
        images, seconds = (sum(row[at] for row in intact) for at in (1, 2))
        return images / seconds if images and seconds else None

    def _unusable(self, error: Exception, advice: str) -> BenchError:
        return BenchError(f"the feature store {self.path} cannot be used ({error}); {advice}")

    def _look_up(
        self, table: str, digests: Sequence[bytes], condition: str = ""
    ) -> Iterator[Sequence[Any]]:
        """Yield the intact rows of digests, without checksum; repair the file if one is not."""
        for rows in self._select(f"SELECT * FROM {table} WHERE {condition}", digests):  # noqa: S608
            intact = intact_rows(table, rows)
            if len(intact) < len(rows):
                self._repair()
            yield from intact

    def _select(self, select: str, digests: Sequence[bytes]) -> Iterator[list[Any]]:
        for start in range(0, len(digests), LOOKUP_BATCH):
            batch = digests[start : start + LOOKUP_BATCH]
            query = f"{select} digest IN ({','.join('?' * len(batch))})"
            yield self._repairing(partial(self._fetch, query, batch))

    def _fetch(self, query: str, values: Sequence[Any]) -> list[Any]:
        return self._db.execute(query, values).fetchall()

    def _repairing(self, action: Callable[[], T], advice: str = TRY_AGAIN) -> T:
        """Return the result of an action; repair a damaged file, and try once more."""
        try:
            try:
                return action()
            except ERRORS as error:
                if not is_damage(error):
                    raise
            self._repair()
            return action()
        except ERRORS as error:
            raise self._unusable(error, advice) from error

    def _connect(self) -> sqlite3.Connection:
        try:
            return connect(self.path, self._space)
        except ERRORS as error:
            if not is_damage(error):
                raise
        repair(self.path, self._space)
        return connect(self.path, self._space)

    def _repair(self) -> None:
        self._db.close()
        repair(self.path, self._space)
        self._db = connect(self.path, self._space)


def file_stem(space: Mapping[str, str | int | float]) -> str:
    """Return the file name of a space, without extension: its architecture and digest."""
    digest = hashlib.blake2b(json.dumps(space, sort_keys=True).encode(), digest_size=8).hexdigest()
    readable = re.sub(r"[^A-Za-z0-9]+", "-", f"{space.get('architecture', '')}").strip("-").lower()
    return f"{readable}-{digest}"
