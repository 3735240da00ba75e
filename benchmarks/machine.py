"""Description of the machine, recorded with the results of a benchmark."""

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


def machine_info(*packages: str) -> dict[str, object]:
    """Return CPU, cores, memory, versions, load and commit.

    Call it first, so that the load is that of other programs.

    Parameters
    ----------
    packages : str
        Packages whose versions are recorded; those that are not installed are omitted.
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
    versions = {}
    for package in packages:
        with suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    return versions


def _commit() -> str | None:
    """Return the short hash of HEAD, with a + if tracked files are modified; None without git."""
    try:
        head = _git("rev-parse", "--short", "HEAD").decode().strip()
        return head + ("+" if _git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def _changes() -> str | None:
    """Return a hash of the uncommitted changes; None without any."""
    with suppress(OSError, subprocess.CalledProcessError):
        if changes := _git("diff", "HEAD"):
            return hashlib.sha256(changes).hexdigest()[:12]
    return None


def _git(*words: str) -> bytes:
    git = ["git", "-C", str(ROOT)]
    return subprocess.run([*git, *words], capture_output=True, check=True).stdout
