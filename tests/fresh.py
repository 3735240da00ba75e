"""README's commands as a newcomer types them: a new clone, no environment, an empty home.

    make fresh [PYTHON=python3.13] [INTO=folder to keep the clone in]

Needs nothing but Python and git. What is not committed is not seen.
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
# Whatever else is set may come from an earlier environment, shell or run.
KEPT = re.compile(
    "PATH|LANG|LC_.*|TERM|TMPDIR|PIP_(?!CACHE_DIR).*|SSL_.*|REQUESTS_.*|.*_proxy|OPENBLAS_.*"
    "|OUTLIERS_BENCH_SHARED",
    re.IGNORECASE,
)


def blocks(page: str) -> list[list[str]]:
    """The indented blocks of a page, each with its commands."""
    found = re.findall(r"(?:^ {4}\S.*\n)+", page, flags=re.MULTILINE)
    return [[line.strip() for line in block.splitlines()] for block in found]


def commands(page: str) -> list[str]:
    """The two commands, and those below the line that activates, each with that line."""
    (two,) = (block for block in blocks(page) if block[0] == "make demo")
    (more,) = (block for block in blocks(page) if block[0] == ACTIVATE)
    return [*two, *(f"{ACTIVATE}\n{command}" for command in more[1:])]


def newcomer(home: Path) -> dict[str, str]:
    """The environment of somebody who has this Python, and access to a package index."""
    kept = {name: value for name, value in os.environ.items() if KEPT.fullmatch(name)}
    for place in (".config/pip/pip.conf", ".pip/pip.conf"):  # which index it is
        if (Path.home() / place).exists():
            kept.setdefault("PIP_CONFIG_FILE", str(Path.home() / place))
    folders = kept["PATH"].split(":")
    path = [folder for folder in folders if not (Path(folder) / "activate").exists()]
    return {**kept, "HOME": str(home), "PATH": ":".join(path), "PYTHON": sys.executable}


def megabytes(folder: Path) -> float:
    """Size of a folder."""
    files = (Path(place) / name for place, _, names in os.walk(folder) for name in names)
    return sum(file.lstat().st_size for file in files) / 1e6


def main() -> int:
    """Type every command; 1 if one of them fails."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--into", type=Path, help="folder for the clone, which is kept")
    given = parser.parse_args()
    if given.into is not None and given.into.exists():
        parser.error(f"--into {given.into}: is there already; name a folder that is not")
    with tempfile.TemporaryDirectory() as work:
        home = Path(work) / "home"
        home.mkdir()
        clone = given.into or Path(work) / "outliers-bench"
        subprocess.run(["git", "clone", "--quiet", REPOSITORY, clone], check=True)
        rows = []
        for command in commands((clone / "README.md").read_text()):
            typed = command.rpartition("\n")[2]
            print(f"\n$ {typed}", flush=True)
            start = time.monotonic()
            shell, env = ["sh", "-c", command], newcomer(home)
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
