"""What a run was made with: package versions, the code's commit, the machine."""

from __future__ import annotations

import getpass
import os
import platform
import re
import subprocess
import sys
from functools import cache
from importlib import metadata
from pathlib import Path

from outliers_bench.runtime.machine import cores

# Distribution that provides it, by the name people know it under.
_MAIN_PACKAGES = {
    "outliers_bench": ("outliers-bench",),
    "keras": ("keras",),
    "tensorflow": ("tensorflow", "tensorflow-cpu"),
    "openvino": ("openvino",),
    "faiss": ("faiss-cpu", "faiss-gpu"),
}
_PACKAGE = Path(__file__).resolve().parents[1]
_GIT_TIMEOUT = 3.0  # seconds
_GIT_VARIABLES = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX")


@cache
def main_versions() -> dict[str, str]:
    """Versions of the packages that numbers depend on most; those not installed are left out."""
    found = {}
    for name, distributions in _MAIN_PACKAGES.items():
        for distribution in distributions:
            try:
                found[name] = metadata.version(distribution)
                break
            except metadata.PackageNotFoundError:
                continue
    return found


@cache  # some hundred files to read, and what is imported already does not change any more
def all_versions() -> dict[str, str]:
    """Version of every installed distribution, by name, in order."""
    pairs = {_name_and_version(distribution) for distribution in metadata.distributions()}
    return dict(sorted(pairs, key=lambda pair: pair[0].lower()))


def _name_and_version(distribution: metadata.Distribution) -> tuple[str, str]:
    """As the head of its file of metadata says: parsed whole, all of them take half a second."""
    text = distribution.read_text("METADATA") or distribution.read_text("PKG-INFO") or ""
    head = text.partition("\n\n")[0]
    said = dict(re.findall(r"^(Name|Version):[ \t]*(.*?)\s*$", head, re.MULTILINE))
    if said.keys() >= {"Name", "Version"}:
        return said["Name"], said["Version"]
    return distribution.metadata["Name"] or "", distribution.version


@cache
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
    """MLflow's tags for the commit of this package's code, and whether the code differs from it.

    Empty where the package is installed rather than part of a checkout, and where git is missing.
    """
    if _git("ls-files", "--error-unmatch", "__init__.py") is None:
        return {}
    status = _git("status", "--porcelain=v2", "--branch", "--untracked-files=no", "--", ".")
    lines = (status or "").splitlines()
    head = dict(line[2:].split(" ", 1) for line in lines if line.startswith("# "))
    commit, branch = head.get("branch.oid", "(unknown)"), head.get("branch.head", "(unknown)")
    if commit.startswith("("):  # no commit yet
        return {}
    dirty = any(not line.startswith("# ") for line in lines)
    tags = {"mlflow.source.git.commit": commit, "git_dirty": "true" if dirty else "false"}
    if not branch.startswith("("):  # detached
        tags["mlflow.source.git.branch"] = branch
    return tags


def _git(*arguments: str) -> str | None:
    # Set by git where we run in one of its hooks, these would name another repository.
    env = {name: value for name, value in os.environ.items() if name not in _GIT_VARIABLES}
    try:
        done = subprocess.run(  # noqa: S603
            ["git", "-C", str(_PACKAGE), *arguments],  # noqa: S607
            env={**env, "GIT_OPTIONAL_LOCKS": "0"},
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_GIT_TIMEOUT,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout


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
