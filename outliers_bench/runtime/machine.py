"""CPU cores that this process may use."""

from __future__ import annotations

import math
import os
from contextlib import suppress
from functools import cache
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")


def cores() -> int:
    """Return the number of CPU cores that this process can use, at least 1.

    The smaller of the cores in its affinity mask and the CPU quota of its container, rounded up:
    with a quota of one and a half cores, a third thread would only wait.
    """
    quota = cpu_quota()
    return max(1, _affinity() if quota is None else min(_affinity(), math.ceil(quota)))


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
