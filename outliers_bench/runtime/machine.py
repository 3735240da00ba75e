"""What this process may use of the machine."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

_ROOT = Path("/")


def cores() -> int:
    """Processor cores that this process may really use.

    Those it may run on, and no more than a container's share of processor time comes to: with a
    share of one and a half cores, a third thread would only wait for its turn.

    Returns
    -------
    int
        At least 1.
    """
    share = processor_share()
    return max(1, _allowed() if share is None else min(_allowed(), math.ceil(share)))


def _allowed() -> int:
    """Cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@cache
def processor_share(root: Path = _ROOT) -> float | None:
    """Processor time a second that the control groups of this process allow, in cores.

    Parameters
    ----------
    root : Path
        Where `proc` and `sys` lie.

    Returns
    -------
    float or None
        The smallest of the limits on the way up; None without any, and where there are no such
        groups.

    References
    ----------
    Linux kernel documentation: admin-guide/cgroup-v2 (`cpu.max`), scheduler/sched-bwc
    (`cpu.cfs_quota_us`).
    """
    return min((share for group in _groups(root) if (share := _share(group))), default=None)


def _groups(root: Path) -> Iterator[Path]:
    """Folders of this process' control groups for processor time, up to the topmost."""
    mounts = root / "sys/fs/cgroup"
    lines: list[str] = []
    with suppress(OSError):  # no Linux
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    for line in lines:
        number, controllers, path = line.split(":", 2)
        if number == "0":
            mount = mounts
        elif "cpu" in controllers.split(","):
            mount = mounts / controllers
        else:
            continue
        # In a container the path may be the host's, which is not there: its end is the mount.
        own = mount / path.lstrip("/")
        yield from (folder for folder in (own, *own.parents) if folder.is_relative_to(mount))


def _share(group: Path) -> float | None:
    """Limit of one group in cores, by version 2 or version 1 of control groups; None for none."""
    with suppress(OSError, ValueError):  # ValueError: "max", which is no limit
        quota, period = map(int, (group / "cpu.max").read_text().split())
        return quota / period
    with suppress(OSError, ValueError):
        quota = int((group / "cpu.cfs_quota_us").read_text())
        period = int((group / "cpu.cfs_period_us").read_text())
        return quota / period if quota > 0 else None  # -1: no limit
    return None
