"""Backlog of a sweep: runs that are done but not yet recorded while the next job runs."""

from __future__ import annotations

import shlex
import sys
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future

MAX_PENDING = 2  # runs; if the process is killed, they are lost together with the current one


class Backlog:
    """Runs whose recording was requested but not yet checked.

    It is closed at first; then every run waits until it is recorded.
    """

    def __init__(self) -> None:
        self._pending: deque[tuple[str, list[Future[None]]]] = deque()
        self._limit = 0
        self._failed = 0

    def __len__(self) -> int:
        return len(self._pending)

    @property
    def is_open(self) -> bool:
        """True if runs may be added without waiting for them."""
        return self._limit > 0

    def begin(self) -> None:
        """Open the backlog."""
        self._limit, self._failed = MAX_PENDING, 0

    def add(self, overrides: Sequence[str], steps: Sequence[Future[None]]) -> None:
        """Add a run; if there are too many, wait for the oldest, which may take a while.

        Parameters
        ----------
        overrides : sequence of str
            Overrides of the run, which name it in error messages.
        steps : sequence of Future
            Requested calls, in order.
        """
        self._pending.append((shlex.join(overrides), list(steps)))
        while len(self._pending) > self._limit:
            self._wait_for_first()

    def end(self) -> int:
        """Wait for all runs and close the backlog.

        Returns
        -------
        int
            Number of runs that could not be recorded since `begin`; each has been reported.
        """
        while self._pending:
            self._wait_for_first()
        self._limit = 0
        return self._failed

    def _wait_for_first(self) -> None:
        name, steps = self._pending[0]
        errors = [error for step in steps if (error := step.exception()) is not None]
        self._pending.popleft()  # after the wait, so that an interrupt does not lose the run
        if errors:
            self._failed += 1
            print(f"error in {name}: {errors[0]}", file=sys.stderr)


backlog = Backlog()
"""The backlog of this process."""
