"""CPU cores that this process may use."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

_ROOT = Path("/")


def cores() -> int:
    """Return the number of CPU cores that this process can use.

    The smaller of the cores in its affinity mask and the CPU quota of its container, rounded up:
    with a quota of one and a half cores, a third thread would only wait.

    Returns
    -------
    int
        At least 1.
    """
    quota = cpu_quota()
    return max(1, _affinity() if quota is None else min(_affinity(), math.ceil(quota)))


def _affinity() -> int:
    """Return the number of cores that this process may be scheduled on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@cache
def cpu_quota(root: Path = _ROOT) -> float | None:
    """Return the CPU quota of the control groups of this process, in cores.

    Parameters
    ----------
    root : Path
        Folder of `proc` and `sys`.

    Returns
    -------
    float or None
        The smallest quota of the group and its parents; None without any quota, or without
        control groups.

    References
    ----------
    Linux kernel documentation: admin-guide/cgroup-v2 (`cpu.max`), scheduler/sched-bwc
    (`cpu.cfs_quota_us`).
    """
    return min((quota for group in _groups(root) if (quota := _quota(group))), default=None)


def _groups(root: Path) -> Iterator[Path]:
    """Yield the folders of this process' CPU control groups, up to the root group."""
    mounts = root / "sys/fs/cgroup"
    lines: list[str] = []
    with suppress(OSError):  # not Linux
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    for line in lines:
        number, controllers, path = line.split(":", 2)
        if number == "0":
            mount = mounts
        elif "cpu" in controllers.split(","):
            mount = mounts / controllers
        else:
            continue
        # In a container the path may be that of the host, and missing here; its last parent, the
        # mount point, is the group of the container.
        own = mount / path.lstrip("/")
        yield from (folder for folder in (own, *own.parents) if folder.is_relative_to(mount))


def _quota(group: Path) -> float | None:
    """Read the quota of one control group, v2 or v1, in cores; None without one."""
    with suppress(OSError, ValueError):  # ValueError: "max", no quota
        quota, period = map(int, (group / "cpu.max").read_text().split())
        return quota / period
    with suppress(OSError, ValueError):
        quota = int((group / "cpu.cfs_quota_us").read_text())
        period = int((group / "cpu.cfs_period_us").read_text())
        return quota / period if quota > 0 else None  # -1: no quota
    return None
