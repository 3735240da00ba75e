"""Storing features beside the work that makes them, in a thread with a connection of its own."""

from __future__ import annotations

import time
from collections.abc import Callable
from queue import Queue
from threading import Thread
from types import TracebackType
from typing import NamedTuple

from outliers_bench.store.features import FeatureStore, Vector

COMMIT_SECONDS = 1.0  # what a kill can cost
COMMIT_BYTES = 2**25  # sooner where vectors are large, so that they do not heap up in memory
WAITING = 2  # batches that may wait while the file is busy


class Batch(NamedTuple):
    """What is stored in one transaction; see `FeatureStore.add`."""

    vectors: list[tuple[bytes, Vector]]
    unreadable: list[tuple[bytes, str]]
    seconds: float


class Writer:
    """Stores vectors as they come, a transaction a second.

    However it is left, what was added is stored and its thread has ended.

    Parameters
    ----------
    store : callable
        Opens the store; called in the thread, since SQLite's connections are not to be shared.
    damaged : callable
        Gives digest and reason of the images found to be unreadable since the last call.
    how : str
        What computes; see `FeatureStore.add`.
    """

    def __init__(
        self,
        store: Callable[[], FeatureStore],
        damaged: Callable[[], list[tuple[bytes, str]]],
        *,
        how: str,
    ) -> None:
        self._store = store
        self._damaged = damaged
        self._how = how
        self._queue: Queue[Batch | None] = Queue(WAITING)
        self._error: BaseException | None = None
        # A daemon: whoever interrupts even the last commit must not wait for a locked file.
        self._thread = Thread(target=self._run, name="store", daemon=True)

    def __enter__(self) -> Writer:
        self._vectors: list[tuple[bytes, Vector]] = []
        self._nbytes = 0
        self._since = time.perf_counter()
        self._thread.start()
        return self

    def add(self, digest: bytes, vector: Vector) -> None:
        """Store one vector, soon.

        Raises
        ------
        BenchError
            If an earlier one could not be stored; see `FeatureStore.add`.
        """
        self._vectors.append((digest, vector))
        self._nbytes += vector.nbytes
        if self._error is not None:
            raise self._error
        if self._nbytes >= COMMIT_BYTES or time.perf_counter() - self._since >= COMMIT_SECONDS:
            self._hand_over()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._hand_over()
        self._queue.put(None)
        self._thread.join()
        if self._error is not None and error is None:
            raise self._error

    def _hand_over(self) -> None:
        seconds = time.perf_counter() - self._since
        self._queue.put(Batch(self._vectors, self._damaged(), seconds))
        self._vectors, self._nbytes = [], 0
        # Begins after the wait for a place in the queue: it is no time that vectors take.
        self._since = time.perf_counter()

    def _run(self) -> None:
        batches = iter(self._queue.get, None)
        try:
            with self._store() as store:
                for vectors, unreadable, seconds in batches:
                    store.add(vectors, unreadable, seconds=seconds, how=self._how)
        except BaseException as error:
            self._error = error
            for _ in batches:  # nobody must wait for a place in the queue
                continue
