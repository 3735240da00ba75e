"""Measurements in child processes, undisturbed by the threads and memory of other ones."""

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

POLL_SECONDS = 0.25  # polling takes time of the cores that are measured
GRACE_SECONDS = 5.0
TIMEOUT_SECONDS = 900.0


class ChildError(Exception):
    """Failure of a child process, in one line."""


@dataclass
class CompletedRun:
    """Output and costs of a child process that succeeded."""

    out: str
    err: str
    seconds: float
    cpu_seconds: float  # including its own children
    peak_bytes: int  # excluding its own children; 0 without /proc


def run(command: list[str], *, cwd: Path, code: int = 0, **env: str) -> CompletedRun:
    """Run a command; an interrupt terminates it with all its descendants.

    Parameters
    ----------
    command : list of str
    cwd : Path
    code : int
        Expected exit code.
    env : str
        Additional environment variables.

    Raises
    ------
    ChildError
        If it exits with another code, or takes more than 15 minutes.
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
            start_new_session=True,  # Ctrl-C reaches only this process
        )
        try:
            peak = _wait(process, start)
        except BaseException:
            _terminate(process)
            raise
        seconds = time.perf_counter() - start
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read())
    if process.returncode != code:
        lines = [line for line in (texts[1] or texts[0]).splitlines() if line.strip()]
        message = lines[-1].strip() if lines else "no output"
        raise ChildError(f"exit code {process.returncode}: {message}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return CompletedRun(*texts, seconds, cpu, peak)


def call(module: str, *, cwd: Path, **options: Any) -> dict[str, Any]:
    """Call `measure_in_child` of a module of this package in a child process.

    Parameters
    ----------
    module : str
        Name of the module.
    cwd : Path
    options
        Keyword arguments; paths become strings.

    Raises
    ------
    ChildError
        If it raises.
    """
    arguments = json.dumps(options, default=str)
    done = run([sys.executable, "-m", "benchmarks.speed.child_main", module, arguments], cwd=cwd)
    result: dict[str, Any] = json.loads(done.out.splitlines()[-1])
    return result


def _wait(process: subprocess.Popen[bytes], start: float) -> int:
    """Wait for the end; return the peak resident memory in bytes."""
    peak = 0
    while True:
        peak = max(peak, _peak(process.pid))
        with suppress(subprocess.TimeoutExpired):
            process.wait(POLL_SECONDS)
            return peak
        if time.perf_counter() - start > TIMEOUT_SECONDS:
            raise ChildError(f"took more than {TIMEOUT_SECONDS / 60:.0f} minutes")


def _peak(pid: int) -> int:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


def _terminate(process: subprocess.Popen[bytes]) -> None:
    """Terminate a process and its descendants, which may be in other sessions."""
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
