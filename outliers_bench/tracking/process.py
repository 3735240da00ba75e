"""Which process does a run's work, and whether it still lives."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

_CLOSE = 2.0  # seconds by which two readings of one process's start may differ
TAG = "process"
_worker: int | None = None


def works_for(pid: int) -> None:
    """Say that what is recorded from here on is the work of another process.

    Parameters
    ----------
    pid : int
        The process that started this one.
    """
    global _worker  # noqa: PLW0603
    _worker = pid


def process_tag() -> str:
    """The process that does the work recorded here, so that another can tell if it still lives.

    Returns
    -------
    str
        JSON of `host`, `machine`, `boot`, `pids` (the namespace of process ids; each empty where
        the system tells none), `pid`, and `start` in seconds after the machine's own.
    """
    pid = _worker or os.getpid()
    # The start tells a process from a later one that was given its number.
    return json.dumps({**place(), "pid": pid, "start": _start(pid)})


def is_gone(tag: str) -> bool:
    """Whether the process of a tag ran on this machine and does so no more.

    False wherever that cannot be known: on another host, in another container, without a tag.
    """
    try:
        told = json.loads(tag)
        pid, start = int(told["pid"]), told["start"]
    except (ValueError, TypeError, KeyError):
        return False
    here = place()
    if any(told.get(key) != here[key] for key in ("host", "machine")):
        return False
    if told.get("boot") != here["boot"]:
        # Containers on two machines may bear the same name; only a machine's own id excludes it.
        return bool(here["machine"] and here["boot"] and told.get("boot"))
    if told.get("pids") != here["pids"]:
        return False
    now = _start(pid)
    return now is None or (start is not None and abs(now - float(start)) > _CLOSE)


def place() -> Mapping[str, str]:
    """Which machine, which boot of it, and whose process ids these are; the host first."""
    machine = _read("/etc/machine-id")
    # systemd asks that the id itself be not told.
    digest = hashlib.blake2b(machine.encode(), digest_size=6, key=b"outliers_bench").hexdigest()
    pids = ""
    with suppress(OSError, AttributeError, NotImplementedError):
        pids = os.readlink("/proc/self/ns/pid")  # noqa: PTH115 - it leads to no file
    return {
        "host": platform.node(),
        "machine": digest if machine else "",
        "boot": _read("/proc/sys/kernel/random/boot_id"),
        "pids": pids,
    }


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


def _start(pid: int) -> float | None:
    """When a process began, in seconds after the machine did; None if there is no such process.

    A wall clock that is set meanwhile moves both and leaves their difference.
    """
    import psutil

    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return round(float(process.create_time() - psutil.boot_time()), 2)
    except psutil.NoSuchProcess:
        return None
