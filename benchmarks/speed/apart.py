"""Work in a process of its own, so that no other's thread pools and memory disturb it."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmarks.machine import ROOT

LOOK_SECONDS = 0.25  # each look costs the cores that are being measured
GRACE_SECONDS = 5.0
LONGEST_SECONDS = 900.0


class ChildError(Exception):
    """A process that ended badly, in one line."""


@dataclass
class Done:
    """A process that has ended well."""

    out: str
    err: str
    seconds: float
    cpu_seconds: float  # of it and of what it started and waited for
    peak_bytes: int  # of itself, not of what it started; 0 where there is no /proc


def run(command: list[str], *, cwd: Path, code: int = 0, **env: str) -> Done:
    """Run a command to its end; whatever interrupts us ends it and all that it has started.

    Parameters
    ----------
    command : list of str
    cwd : Path
    code : int
        The exit code that is no failure.
    env : str
        Variables on top of ours.

    Raises
    ------
    ChildError
        If it ends otherwise, or takes more than 15 minutes.
    """
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        start = time.perf_counter()
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env={**os.environ, "PYTHONPATH": path, "TF_CPP_MIN_LOG_LEVEL": "3", **env},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,  # the terminal's Ctrl-C reaches us alone
        )
        try:
            peak = _watched(process, start)
        except BaseException:
            _end(process)
            raise
        seconds = time.perf_counter() - start
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read())
    if process.returncode != code:
        told = [line for line in (texts[1] or texts[0]).splitlines() if line.strip()]
        raise ChildError(
            f"exit code {process.returncode}: {told[-1].strip() if told else 'no word'}"
        )
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Done(*texts, seconds, cpu, peak)


def call(work: str, *, cwd: Path, **options: Any) -> dict[str, Any]:
    """Call `measured` of a module of this package in a process of its own.

    Parameters
    ----------
    work : str
        The module's name.
    cwd : Path
    options
        Its arguments; paths become strings.

    Raises
    ------
    ChildError
        If it raises.
    """
    told = json.dumps(options, default=str)
    done = run([sys.executable, "-m", "benchmarks.speed.child", work, told], cwd=cwd)
    found: dict[str, Any] = json.loads(done.out.splitlines()[-1])
    return found


def _watched(process: subprocess.Popen[bytes], start: float) -> int:
    """Wait for the end; the largest resident memory seen, in bytes."""
    peak = 0
    while True:
        peak = max(peak, _peak(process.pid))
        with suppress(subprocess.TimeoutExpired):
            process.wait(LOOK_SECONDS)
            return peak
        if time.perf_counter() - start > LONGEST_SECONDS:
            raise ChildError(f"took more than {LONGEST_SECONDS / 60:.0f} minutes")


def _peak(pid: int) -> int:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process and its descendants, which may be in sessions of their own."""
    try:
        parent = psutil.Process(process.pid)
        family = [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    for member in family:
        with suppress(psutil.NoSuchProcess):
            member.terminate()
    _, alive = psutil.wait_procs(family, timeout=GRACE_SECONDS)
    for member in alive:
        with suppress(psutil.NoSuchProcess):
            member.kill()
    process.wait()
