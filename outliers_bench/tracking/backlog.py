"""Runs that are over and not yet taken down: in a sweep the next job begins meanwhile."""

from __future__ import annotations

import shlex
import sys
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future

MAX_PENDING = 2  # runs that may wait; if the process is killed, they are lost with the one in hand


class Backlog:
    """What a sweep has asked its recorder to take down, and not yet looked at how that went.

    Closed, as it is to begin with, nothing may wait in it.
    """

    def __init__(self) -> None:
        self._waiting: deque[tuple[str, list[Future[None]]]] = deque()
        self._most = 0
        self._failed = 0

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def is_open(self) -> bool:
        """Whether a run may wait."""
        return self._most > 0

    def begin(self) -> None:
        """Let runs wait from here on."""
        self._most, self._failed = MAX_PENDING, 0

    def add(self, overrides: Sequence[str], steps: Sequence[Future[None]]) -> None:
        """Have a run wait; if too many do, look at the first, which may take a while.

        Parameters
        ----------
        overrides : sequence of str
            The run's, to name it if something goes wrong.
        steps : sequence of Future
            What was asked for, in order.
        """
        self._waiting.append((shlex.join(overrides), list(steps)))
        while len(self._waiting) > self._most:
            self._look()

    def end(self) -> int:
        """Wait for all; nothing may wait any more.

        Returns
        -------
        int
            How many runs could not be taken down since `begin`; each was told as it was found.
        """
        while self._waiting:
            self._look()
        self._most = 0
        return self._failed

    def _look(self) -> None:
        name, steps = self._waiting[0]
        errors = [error for step in steps if (error := step.exception()) is not None]
        self._waiting.popleft()  # only now: an interrupted wait must not forget it
        if errors:
            self._failed += 1
            print(f"error in {name}: {errors[0]}", file=sys.stderr)


backlog = Backlog()
"""That of this process."""
