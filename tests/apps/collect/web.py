"""Photos for a test's web server, and the command that collects them."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from tests.cli import Done, bench

QUICK = ("delay=0", "allow_private=true")


def photo(seed: int, *, side: int = 80, kind: str = ".jpg") -> bytes:
    """A picture of its own for every seed."""
    blocks = np.random.default_rng(seed).integers(0, 255, (8, 8, 3), dtype=np.uint8)
    image = cv2.resize(blocks, (side, side), interpolation=cv2.INTER_CUBIC)
    return cv2.imencode(kind, image)[1].tobytes()


def write_list(file: Path, rows: list[tuple[str, str]]) -> None:
    with file.open("w", newline="", encoding="utf-8") as out:
        csv.writer(out).writerows([("url", "label"), *rows])


def collect(cwd: Path, *arguments: str, **env: str) -> Done:
    return bench(*arguments, cwd=cwd, module="outliers_bench.collect", **env)


def rows(file: Path) -> list[dict[str, str]]:
    if not file.exists():
        return []
    with file.open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def images(folder: Path) -> list[str]:
    return sorted(str(f.relative_to(folder).as_posix()) for f in folder.glob("*/*"))


def until(true: Callable[[], bool]) -> None:
    """Wait for something that will be; not for ever, so that a broken test ends."""
    for _ in range(1500):
        if true():
            return
        time.sleep(0.02)
    raise TimeoutError
