"""The README's commands as run by a new user: new clone, no environment, empty home.

    make fresh [PYTHON=python3.13] [INTO=folder for the clone]

Needs only Python and git. Uncommitted changes are not tested.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent
ACTIVATE = ". .venv/bin/activate"
# Other variables may come from an earlier environment, shell or run.
PASSED_VARIABLES = re.compile(
    "PATH|LANG|LC_.*|TERM|TMPDIR|PIP_(?!CACHE_DIR).*|SSL_.*|REQUESTS_.*|.*_proxy|OPENBLAS_.*"
    "|OUTLIERS_BENCH_SHARED",
    re.IGNORECASE,
)


def blocks(page: str) -> list[list[str]]:
    """Return the indented blocks of a page, each as a list of lines."""
    matches = re.findall(r"(?:^ {4}\S.*\n)+", page, flags=re.MULTILINE)
    return [[line.strip() for line in block.splitlines()] for block in matches]


def commands(page: str) -> list[str]:
    """Return the make commands, and those after the activation, each preceded by it."""
    (make_block,) = (block for block in blocks(page) if block[0] == "make demo")
    (activated_block,) = (block for block in blocks(page) if block[0] == ACTIVATE)
    return [*make_block, *(f"{ACTIVATE}\n{command}" for command in activated_block[1:])]


def new_user_environment(home: Path) -> dict[str, str]:
    """Return the environment of a user with this Python and access to a package index."""
    variables = {
        name: value for name, value in os.environ.items() if PASSED_VARIABLES.fullmatch(name)
    }
    for config in (".config/pip/pip.conf", ".pip/pip.conf"):  # sets the package index
        if (Path.home() / config).exists():
            variables.setdefault("PIP_CONFIG_FILE", str(Path.home() / config))
    folders = variables["PATH"].split(":")
    path = [folder for folder in folders if not (Path(folder) / "activate").exists()]
    return {**variables, "HOME": str(home), "PATH": ":".join(path), "PYTHON": sys.executable}


def megabytes(folder: Path) -> float:
    """Return the size of a folder in MB."""
    files = (Path(parent) / name for parent, _, names in os.walk(folder) for name in names)
    return sum(file.lstat().st_size for file in files) / 1e6


def main() -> int:
    """Run every command; return 1 if one of them fails."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--into", type=Path, help="folder for the clone, which is not removed")
    options = parser.parse_args()
    if options.into is not None and options.into.exists():
        parser.error(f"--into {options.into}: already exists; give a new folder")
    with tempfile.TemporaryDirectory() as work:
        home = Path(work) / "home"
        home.mkdir()
        clone = options.into or Path(work) / "outliers-bench"
        subprocess.run(["git", "clone", "--quiet", REPOSITORY, clone], check=True)
        rows = []
        for command in commands((clone / "README.md").read_text()):
            typed = command.rpartition("\n")[2]
            print(f"\n$ {typed}", flush=True)
            start = time.monotonic()
            shell, env = ["sh", "-c", command], new_user_environment(home)
            done = subprocess.run(shell, cwd=clone, env=env, stdin=subprocess.DEVNULL, check=False)
            rows.append((typed, done.returncode, (time.monotonic() - start) / 60))
            if len(rows) == 1:
                installed = megabytes(clone / ".venv")
    print(
        f"\nPython {platform.python_version()}, {os.cpu_count()} cores, .venv {installed:,.0f} MB"
    )
    width = max(len(typed) for typed, _, _ in rows)
    print(f"{'command':<{width}}  exit  minutes")
    for typed, code, minutes in rows:
        print(f"{typed:<{width}}  {code:>4}  {minutes:>7.1f}")
    return int(any(code for _, code, _ in rows))


if __name__ == "__main__":
    sys.exit(main())
