"""Process that fills a box of the outbox, and a check whether it is still alive."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass

_TOLERANCE = 2.0  # seconds between two readings of one process's start time


@dataclass(frozen=True)
class Writer:
    """Process that fills a box."""

    host: str
    pid: int
    create_time: float
    since_boot: float  # seconds from the start of the machine to that of the process

    @classmethod
    def current(cls) -> Writer:
        """Return this process."""
        import psutil

        created = psutil.Process().create_time()
        return cls(platform.node(), os.getpid(), created, created - psutil.boot_time())

    @property
    def is_here(self) -> bool:
        """Check whether the process runs, or ran, on this machine."""
        return self.host == platform.node()

    @property
    def is_gone(self) -> bool:
        """Check whether the process ran on this machine and has ended."""
        import psutil

        if not self.is_here:
            return False
        try:
            process = psutil.Process(self.pid)
            if process.status() == psutil.STATUS_ZOMBIE:
                return True
            created = process.create_time()
            # The first changes when the clock of some systems is set, the second on others.
            changes = created - self.create_time, created - psutil.boot_time() - self.since_boot
            return all(abs(change) > _TOLERANCE for change in changes)
        except psutil.NoSuchProcess:
            return True
        except psutil.AccessDenied:
            return False
