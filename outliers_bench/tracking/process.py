"""Identity of the process that works on a run, and a check whether it is still alive."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

_INITIAL_PIDS = "pid:[4026531836]"  # Linux' PID namespace outside containers
_START_TOLERANCE = 2.0  # seconds between two readings of one process's start time
TAG = "process"
_worker: int | None = None


def set_worker(pid: int) -> None:
    """Set the process that does the work recorded by this one.

    Parameters
    ----------
    pid : int
        Id of the process that started this one.
    """
    global _worker  # noqa: PLW0603
    _worker = pid


def process_tag() -> str:
    """Return a tag that identifies the working process, so that others can check if it is alive.

    Returns
    -------
    str
        JSON of `host`, `machine`, `boot` and `pids` (the PID namespace), each empty if the system
        does not provide it; `pid`; and `start`, in seconds after the machine's (null if hidden).
    """
    pid = _worker or os.getpid()
    # The start time distinguishes a process from a later one with the same id.
    start = None
    with suppress(ProcessLookupError):  # it has ended already
        start = _start_time(pid)
    return json.dumps({**process_namespace(), "pid": pid, "start": start})


def is_gone(tag: str, *, local: bool = True) -> bool:
    """Check whether the process of a tag ran on this machine and has ended.

    Returns False if that cannot be known: on another host, in another container, without a tag.

    Parameters
    ----------
    tag : str
        From `process_tag`.
    local : bool
        Whether the tag comes from a file on this machine. In a shared store, machines of one image
        may have the same name and id; then only the boot id identifies this one.
    """
    try:
        recorded = json.loads(tag)
        pid, start = int(recorded["pid"]), recorded["start"]
        start = None if start is None else float(start)
    except (ValueError, TypeError, KeyError):
        return False
    here = process_namespace()
    same = {key: recorded.get(key) == here[key] for key in here}
    if not (same["host"] and same["machine"]):
        return False
    if same["boot"] and same["pids"]:
        known = here["boot"] and here["pids"]
        return bool(local or known) and not _is_alive(pid, start)
    # Container images may contain a machine id, which containers on different machines then share.
    # A process outside containers that started before this boot is gone.
    outside = recorded.get("pids") == here["pids"] == _INITIAL_PIDS
    return bool(local and outside and here["machine"] and here["boot"] and recorded.get("boot"))


def process_namespace() -> Mapping[str, str]:
    """Return host, machine, boot and PID namespace of this process, the host first."""
    machine = _read("/etc/machine-id")
    # systemd asks not to publish the id itself.
    digest = hashlib.blake2b(machine.encode(), digest_size=6, key=b"outliers_bench").hexdigest()
    pids = ""
    with suppress(OSError, AttributeError, NotImplementedError):
        pids = os.readlink("/proc/self/ns/pid")  # noqa: PTH115 - the target is not a file
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
    """Check whether a process with this id and start time is alive, as far as can be seen."""
    try:
        current = _start_time(pid)
    except ProcessLookupError:
        return False
    # The start time of another user's process may be hidden.
    return current is None or start is None or abs(current - start) <= _START_TOLERANCE


def _start_time(pid: int) -> float | None:
    """Return the start time of a process in seconds after the machine's; None if hidden.

    Raises
    ------
    ProcessLookupError
        If there is no such process, or only a zombie.
    """
    if not sys.platform.startswith("linux"):
        return _start_by_psutil(pid)
    # In ticks of a monotonic clock; the program's name may contain spaces and parentheses.
    fields = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    if not fields:
        with suppress(PermissionError):  # with hidepid, /proc shows the user's own processes only
            os.kill(pid, 0)
        return None
    if fields[0] in "ZX":
        raise ProcessLookupError(pid)
    return round(int(fields[19]) / os.sysconf("SC_CLK_TCK"), 2)


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
