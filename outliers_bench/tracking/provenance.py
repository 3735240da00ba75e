"""What a run was made with: package versions, the code's commit, the machine."""

from __future__ import annotations

import getpass
import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from outliers_bench.machine import cores

# Distribution that provides it, by the name people know it under.
_MAIN = {
    "outliers_bench": ("outliers-bench",),
    "keras": ("keras",),
    "tensorflow": ("tensorflow", "tensorflow-cpu"),
    "openvino": ("openvino",),
    "faiss": ("faiss-cpu", "faiss-gpu"),
}
_GIT_TIMEOUT = 10.0  # seconds


def main_versions() -> dict[str, str]:
    """Versions of the packages that numbers depend on most; those not installed are left out."""
    found = {}
    for name, distributions in _MAIN.items():
        for distribution in distributions:
            try:
                found[name] = metadata.version(distribution)
                break
            except metadata.PackageNotFoundError:
                continue
    return found


def all_versions() -> dict[str, str]:
    """Version of every installed distribution, by name, in order."""
    pairs = {(d.metadata["Name"] or "", d.version) for d in metadata.distributions()}
    return dict(sorted(pairs, key=lambda pair: pair[0].lower()))


def machine() -> dict[str, str]:
    """CPU model, cores this process may use, memory, Python and platform."""
    return {
        "cpu": _cpu_model(),
        "cores": str(cores()),
        "memory": _memory(),
        "python": platform.python_version(),
        "platform": platform.platform(),
    }


def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _memory() -> str:
    try:
        size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return "unknown"
    return f"{size / 2**30:.1f} GiB"


def git() -> dict[str, str]:
    """MLflow's tags for the checkout the working directory is in; empty where there is none."""
    commit = _git("rev-parse", "HEAD")
    if not commit:
        return {}
    tags = {"mlflow.source.git.commit": commit}
    if branch := _git("rev-parse", "--abbrev-ref", "HEAD"):
        tags["mlflow.source.git.branch"] = branch
    changes = _git("status", "--porcelain", "--untracked-files=no")
    if changes is not None:
        tags["git_dirty"] = "true" if changes else "false"
    return tags


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(  # noqa: S603
            ["git", *arguments],  # noqa: S607
            capture_output=True,
            text=True,
            timeout=_GIT_TIMEOUT,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def user() -> str:
    """Who runs this, or `unknown`: a container's user may have no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def command() -> str:
    """The program that runs, for MLflow's Source column."""
    program = Path(sys.argv[0] or "outliers_bench")
    return program.parent.name if program.name == "__main__.py" else program.name
