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

    @classmethod
    def current(cls) -> Writer:
        """Return this process."""
        import psutil

        return cls(platform.node(), os.getpid(), psutil.Process().create_time())

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
            return bool(abs(process.create_time() - self.create_time) > _TOLERANCE)
        except psutil.NoSuchProcess:
            return True
        except psutil.AccessDenied:
            return False
