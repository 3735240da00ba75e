"""Photos for a local web server, and the command that collects them."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from tests.command_line import Done, bench

QUICK = ("delay=0", "allow_private=true")


def encoded_photo(seed: int, *, side: int = 80, suffix: str = ".jpg") -> bytes:
    """Return an image file with different content for each seed."""
    blocks = np.random.default_rng(seed).integers(0, 255, (8, 8, 3), dtype=np.uint8)
    image = cv2.resize(blocks, (side, side), interpolation=cv2.INTER_CUBIC)
    return cv2.imencode(suffix, image)[1].tobytes()


def write_url_list(file: Path, rows: list[tuple[str, str]]) -> None:
    with file.open("w", newline="", encoding="utf-8") as out:
        csv.writer(out).writerows([("url", "label"), *rows])


def run_collect(cwd: Path, *arguments: str, **env: str) -> Done:
    return bench(*arguments, cwd=cwd, module="outliers_bench.collect", **env)


def read_rows(file: Path) -> list[dict[str, str]]:
    if not file.exists():
        return []
    with file.open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def list_images(folder: Path) -> list[str]:
    return sorted(str(f.relative_to(folder).as_posix()) for f in folder.glob("*/*"))


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds, at most half a minute."""
    for _ in range(1500):
        if condition():
            return
        time.sleep(0.02)
    raise TimeoutError
