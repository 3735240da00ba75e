"""A small competition: photos of noise in class folders, and the same as a group gets them."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

QUERIES = {"q1.jpg": "antelope", "q2.jpg": "bass", "q3.jpg": "crab"}
GALLERY = {
    "g1.jpg": "antelope",
    "g2.jpg": "bass",
    "g3.jpg": "antelope",
    "g4.jpg": "bass",
    "g5.jpg": "bass",
}
CLASSES = ("antelope", "bass", "crab")
# Of antelope there are 2 in the gallery, of bass 3, of crab none: q3 cannot be answered.
IMAGES = {
    "q1.jpg": ["g2.jpg", "g1.jpg", "g3.jpg"],
    "q2.jpg": ["g2.jpg", "g4.jpg", "g1.jpg"],
    "q3.jpg": ["g1.jpg"],
}


def lay_out(folder: Path) -> Path:
    """Make `labeled/` and, without class folders, `handout/`; returns the first."""
    rng = np.random.default_rng(0)
    for part, labels in (("query", QUERIES), ("gallery", GALLERY)):
        (folder / "handout" / part).mkdir(parents=True)
        for name, label in labels.items():
            path = folder / "labeled" / part / label / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(path)
            shutil.copy(path, folder / "handout" / part / name)
    return folder / "labeled"


def sent(group: object = "outliers", **images: object) -> bytes:
    """A submission; a query's list is replaced by `q1=[...]`, or left out by `q1=None`."""
    lists = {**IMAGES, **{f"{name}.jpg": value for name, value in images.items()}}
    kept = {name: value for name, value in lists.items() if value is not None}
    return json.dumps({"groupname": group, "images": kept}).encode()


class Running:
    """The real server as a process of its own."""

    def __init__(self, process: subprocess.Popen[str], url: str) -> None:
        self.process, self.url = process, url

    def interrupt(self) -> str:
        """Ctrl-C; what it said since, once it has ended."""
        self.process.send_signal(signal.SIGINT)
        said, _ = self.process.communicate(timeout=60)
        return said


@contextmanager
def competition(*options: str, cwd: Path, **env: str) -> Iterator[Running]:
    """`python -m outliers_bench.competition` on a free port, until the block ends."""
    process = subprocess.Popen(
        [sys.executable, "-m", "outliers_bench.competition", "port=0", *options],
        cwd=cwd,
        env={**os.environ, "OUTLIERS_BENCH_CACHE": str(cwd / "cache"), **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    try:
        said = ""
        while not (found := re.search(r"leaderboard\s+(http://\S+)/\n", said)):
            line = process.stdout.readline()
            assert line, f"it has ended: {said}"
            said += line
        yield Running(process, found[1])
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()
