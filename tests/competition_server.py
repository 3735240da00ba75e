"""A small competition with photos of noise, and its server as a process."""

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
# Relevant gallery images: 2 for antelope, 3 for bass, none for crab, so q3 is not scored.
IMAGES = {
    "q1.jpg": ["g2.jpg", "g1.jpg", "g3.jpg"],
    "q2.jpg": ["g2.jpg", "g4.jpg", "g1.jpg"],
    "q3.jpg": ["g1.jpg"],
}


def write_photos(folder: Path) -> Path:
    """Write `labeled/` and, without class folders, `handout/`; return the first."""
    rng = np.random.default_rng(0)
    for part, labels in (("query", QUERIES), ("gallery", GALLERY)):
        (folder / "handout" / part).mkdir(parents=True)
        for name, label in labels.items():
            path = folder / "labeled" / part / label / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(path)
            shutil.copy(path, folder / "handout" / part / name)
    return folder / "labeled"


def submission_json(group: object = "outliers", **images: object) -> bytes:
    """Return a submission; `q1=[...]` replaces the list of a query, `q1=None` omits it."""
    rankings = {**IMAGES, **{f"{name}.jpg": value for name, value in images.items()}}
    images = {name: value for name, value in rankings.items() if value is not None}
    return json.dumps({"groupname": group, "images": images}).encode()


class RunningServer:
    """The server in a separate process."""

    def __init__(self, process: subprocess.Popen[str], url: str) -> None:
        self.process, self.url = process, url

    def interrupt(self) -> str:
        """Send Ctrl-C, wait until the process ends, and return its remaining output."""
        self.process.send_signal(signal.SIGINT)
        output, _ = self.process.communicate(timeout=60)
        return output


@contextmanager
def run_server(
    *options: str, cwd: Path, public_share: float = 1, **env: str
) -> Iterator[RunningServer]:
    """Run `python -m outliers_bench.competition` on a free port until the block ends.

    By default, without a private part of the queries, of which there are two to score.
    """
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "outliers_bench.competition",
            "port=0",
            f"public_share={public_share}",
            *options,
        ],
        cwd=cwd,
        env={**os.environ, "OUTLIERS_BENCH_CACHE": str(cwd / "cache"), **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    try:
        output = ""
        while not (match := re.search(r"leaderboard\s+(http://\S+)/\n", output)):
            line = process.stdout.readline()
            assert line, f"the server has ended: {output}"
            output += line
        yield RunningServer(process, match[1])
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()
