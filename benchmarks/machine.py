"""What a benchmark ran on, to stand beside its figures."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import subprocess
from contextlib import suppress
from pathlib import Path

import psutil

from outliers_bench.runtime.machine import cores

ROOT = Path(__file__).parent.parent


def facts(*packages: str) -> dict[str, object]:
    """Processor, cores, memory, versions, load and commit; called before the work adds to the load.

    Parameters
    ----------
    packages : str
        Whose versions matter; those that are not installed are left out.
    """
    return {
        "processor": _processor(),
        "cores": cores(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": _versions(packages),
        "load": os.getloadavg(),
        "commit": _commit(),
        "changes": _changes(),
    }


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(": ")[2]
    return platform.processor()


def _versions(packages: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for package in packages:
        with suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found


def _commit() -> str | None:
    """Short hash of what is checked out, with a + where files differ from it; None without git."""
    try:
        head = _git("rev-parse", "--short", "HEAD").decode().strip()
        return head + ("+" if _git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def _changes() -> str | None:
    """What tells two states of files that differ from the commit apart; None where none does."""
    with suppress(OSError, subprocess.CalledProcessError):
        if changes := _git("diff", "HEAD"):
            return hashlib.sha256(changes).hexdigest()[:12]
    return None


def _git(*words: str) -> bytes:
    git = ["git", "-C", str(ROOT)]
    return subprocess.run([*git, *words], capture_output=True, check=True).stdout
