"""Storing features in a background thread with its own connection."""

from __future__ import annotations

import time
from collections.abc import Callable
from queue import Queue
from threading import Thread
from types import TracebackType
from typing import NamedTuple

from outliers_bench.store.features import FeatureStore, Vector
from outliers_bench.types import Reason

COMMIT_SECONDS = 1.0  # work that a killed process can lose
COMMIT_BYTES = 2**25  # earlier commits for large vectors, to limit memory
MAX_QUEUED_BATCHES = 2  # batches that wait while the file is locked


class Batch(NamedTuple):
    """Vectors and unreadable images of one transaction; see `FeatureStore.add`."""

    vectors: list[tuple[bytes, Vector]]
    unreadable: list[tuple[bytes, Reason]]
    seconds: float


class Writer:
    """Context manager that stores vectors as they come, in one transaction per second.

    On exit, also after an exception, all added vectors are stored and the thread has ended.

    Parameters
    ----------
    store : callable
        Opens the store; called in the thread, since SQLite connections cannot be shared.
    undecodable : callable
        Returns digest and reason of the images that could not be decoded since the last call.
    how : str
        Engine and machine; see `FeatureStore.add`.
    """

    def __init__(
        self,
        store: Callable[[], FeatureStore],
        undecodable: Callable[[], list[tuple[bytes, Reason]]],
        *,
        how: str,
    ) -> None:
        self._store = store
        self._undecodable = undecodable
        self._how = how
        self._queue: Queue[Batch | None] = Queue(MAX_QUEUED_BATCHES)
        self._error: BaseException | None = None
        # A daemon, so that interrupting the last commit does not wait for a locked file.
        self._thread = Thread(target=self._run, name="store", daemon=True)

    def __enter__(self) -> Writer:
        self._vectors: list[tuple[bytes, Vector]] = []
        self._nbytes = 0
        self._since = time.perf_counter()
        self._thread.start()
        return self

    def add(self, digest: bytes, vector: Vector) -> None:
        """Add one vector to the next transaction.

        Raises
        ------
        BenchError
            If an earlier vector could not be stored; see `FeatureStore.add`.
        """
        self._vectors.append((digest, vector))
        self._nbytes += vector.nbytes
        if self._error is not None:
            raise self._error
        if self._nbytes >= COMMIT_BYTES or time.perf_counter() - self._since >= COMMIT_SECONDS:
            self._submit_batch()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._submit_batch()
        self._queue.put(None)
        self._thread.join()
        if self._error is not None and error is None:
            raise self._error

    def _submit_batch(self) -> None:
        seconds = time.perf_counter() - self._since
        self._queue.put(Batch(self._vectors, self._undecodable(), seconds))
        self._vectors, self._nbytes = [], 0
        # After the wait for the queue, which is not time of the computation.
        self._since = time.perf_counter()

    def _run(self) -> None:
        batches = iter(self._queue.get, None)
        try:
            with self._store() as store:
                for vectors, unreadable, seconds in batches:
                    store.add(vectors, unreadable, seconds=seconds, how=self._how)
        except BaseException as error:
            self._error = error
            for _ in batches:  # drain the queue, so that no one waits for it
                continue
