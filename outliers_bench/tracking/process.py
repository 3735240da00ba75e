"""Which process does a run's work, and whether it still lives."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

_INITIAL_PIDS = "pid:[4026531836]"  # Linux' namespace of process ids outside containers
_START_TOLERANCE = 2.0  # seconds by which two readings of one process's start may differ
TAG = "process"
_worker: int | None = None


def set_worker(pid: int) -> None:
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
        the system tells none), `pid`, and `start` in seconds after the machine's own
        (null where that is hidden).
    """
    pid = _worker or os.getpid()
    # The start tells a process from a later one that was given its number.
    start = None
    with suppress(ProcessLookupError):  # it ended before it was asked for
        start = _start_time(pid)
    return json.dumps({**process_namespace(), "pid": pid, "start": start})


def is_gone(tag: str, *, local: bool = True) -> bool:
    """Whether the process of a tag ran on this machine and does so no more.

    False wherever that cannot be known: on another host, in another container, without a tag.

    Parameters
    ----------
    tag : str
        From `process_tag`.
    local : bool
        Whether the tag was found in a file of this machine. In a store that others share, machines
        of one image may bear the same name and id; then only the same boot tells this one.
    """
    try:
        told = json.loads(tag)
        pid, start = int(told["pid"]), told["start"]
        start = None if start is None else float(start)
    except (ValueError, TypeError, KeyError):
        return False
    here = process_namespace()
    same = {key: told.get(key) == here[key] for key in here}
    if not (same["host"] and same["machine"]):
        return False
    if same["boot"] and same["pids"]:
        known = here["boot"] and here["pids"]
        return bool(local or known) and not _is_alive(pid, start)
    # Machine ids may be baked into the images of containers, so that those of two machines have the
    # same. What ran beside no container before this machine's start is gone.
    outside = told.get("pids") == here["pids"] == _INITIAL_PIDS
    return bool(local and outside and here["machine"] and here["boot"] and told.get("boot"))


def process_namespace() -> Mapping[str, str]:
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
        return Path(path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _is_alive(pid: int, start: float | None) -> bool:
    """Whether the process with that number still is the one that began then, for all we can see."""
    try:
        now = _start_time(pid)
    except ProcessLookupError:
        return False
    # Of another user's process the start may be hidden.
    return now is None or start is None or abs(now - start) <= _START_TOLERANCE


def _start_time(pid: int) -> float | None:
    """When a process began, in seconds after the machine did; None where that is hidden.

    Raises
    ------
    ProcessLookupError
        If there is no such process, or one that has ended and that nobody has asked for.
    """
    if not sys.platform.startswith("linux"):
        return _start_by_psutil(pid)
    # In ticks of a clock that nobody sets; the program's name may have spaces and brackets.
    said = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    if not said:
        with suppress(PermissionError):  # mounted with hidepid, /proc shows one's own alone
            os.kill(pid, 0)
        return None
    if said[0] in "ZX":
        raise ProcessLookupError(pid)
    return round(int(said[19]) / os.sysconf("SC_CLK_TCK"), 2)


def _start_by_psutil(pid: int) -> float | None:
    import psutil

    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            raise ProcessLookupError(pid)
        return round(float(process.create_time() - psutil.boot_time()), 2)
    except psutil.NoSuchProcess as error:
        raise ProcessLookupError(pid) from error
    except psutil.AccessDenied:
        return None
