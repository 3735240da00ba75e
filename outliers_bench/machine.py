"""What this process may use of the machine."""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress

# Of mallopt(3).
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3


def cores() -> int:
    """Processor cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def keep_freed_memory() -> None:
    """Let this process keep what it frees, where the C library is glibc.

    Training frees and asks for the same large blocks at every step. By default they go back to the
    system each time, and to have them zeroed again took up to half of a small network's time.
    """
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL("libc.so.6").mallopt
        mallopt(_MMAP_THRESHOLD, 2**30)
        mallopt(_TRIM_THRESHOLD, 2**31 - 1)
