"""Provenance of a run: package versions, commit of the code, machine."""

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

# Distributions that provide a package, by the package's common name.
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
    """Return the versions of the installed packages that scores depend on most."""
    versions = {}
    for name, distributions in _MAIN_PACKAGES.items():
        for distribution in distributions:
            try:
                versions[name] = metadata.version(distribution)
                break
            except metadata.PackageNotFoundError:
                continue
    return versions


@cache  # reads a few hundred files, and imported packages do not change any more
def all_versions() -> dict[str, str]:
    """Return the version of every installed distribution, sorted by name."""
    pairs = {_name_and_version(distribution) for distribution in metadata.distributions()}
    return dict(sorted(pairs, key=lambda pair: pair[0].lower()))


def versions() -> dict[str, dict[str, str]]:
    """Return versions and machine for the artifact `versions.json`."""
    return {"main": main_versions(), "machine": machine(), "all": all_versions()}


def _name_and_version(distribution: metadata.Distribution) -> tuple[str, str]:
    """Read the headers of a metadata file only; parsing all files takes half a second."""
    text = distribution.read_text("METADATA") or distribution.read_text("PKG-INFO") or ""
    head = text.partition("\n\n")[0]
    headers = dict(re.findall(r"^(Name|Version):[ \t]*(.*?)\s*$", head, re.MULTILINE))
    if headers.keys() >= {"Name", "Version"}:
        return headers["Name"], headers["Version"]
    return distribution.metadata["Name"] or "", distribution.version


@cache
def machine() -> dict[str, str]:
    """Return the CPU model, cores available to this process, memory, Python and platform."""
    import psutil

    return {
        "cpu": _cpu_model(),
        "cores": str(cores()),
        "memory": f"{psutil.virtual_memory().total / 2**30:.1f} GiB",
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


def git() -> dict[str, str]:
    """Return MLflow's tags for the commit of this package, and whether the code differs from it.

    Empty if the package is installed rather than part of a checkout, or if git is missing.
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
    # Inside a git hook, these variables may point to another repository.
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
    """Return the user name, or `unknown`, because the user of a container may have no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def command() -> str:
    """Return the name of the running program, for MLflow's Source column."""
    program = Path(sys.argv[0] or "outliers_bench")
    return program.parent.name if program.name == "__main__.py" else program.name
