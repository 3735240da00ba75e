"""CPU cores that this process may use, and the memory of the machine."""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TypeVar

Item = TypeVar("Item")
Output = TypeVar("Output")
_CGROUPS = Path("/sys/fs/cgroup")


def cores() -> int:
    """Return the number of CPU cores that this process can use, at least 1.

    The smaller of the cores in its affinity mask and the CPU quota of its container, rounded up:
    with a quota of one and a half cores, a third thread would only wait.
    """
    quota = cpu_quota()
    return max(1, _affinity() if quota is None else min(_affinity(), math.ceil(quota)))


def total_memory() -> int:
    """Return the physical memory of this machine in bytes."""
    import psutil

    return int(psutil.virtual_memory().total)


def map_in_threads(work: Callable[[Item], Output], items: Iterable[Item]) -> Iterator[Output]:
    """Yield results of `work` on items in their order, with one thread per core and few pending."""
    workers = cores()
    pending: deque[Future[Output]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        for item in items:
            pending.append(pool.submit(work, item))
            if len(pending) > 2 * workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@cache
def cpu_quota(mounts: Path = _CGROUPS) -> float | None:
    """Return the CPU quota of this process' container, in cores; None without one.

    References
    ----------
    Linux kernel documentation: admin-guide/cgroup-v2 (`cpu.max`), scheduler/sched-bwc
    (`cpu.cfs_quota_us`).
    """
    with suppress(OSError, ValueError):  # ValueError: "max", no quota
        quota, period = map(int, (mounts / "cpu.max").read_text().split())
        return quota / period
    with suppress(OSError, ValueError):
        quota = int((mounts / "cpu" / "cpu.cfs_quota_us").read_text())
        period = int((mounts / "cpu" / "cpu.cfs_period_us").read_text())
        return quota / period if quota > 0 else None  # -1: no quota
    return None
