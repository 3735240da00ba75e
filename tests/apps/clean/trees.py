"""Folders of made photos, and what is in a folder."""

from __future__ import annotations

import errno
import hashlib
import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

NAMES = ["cat/1.jpg", "cat/2.jpg", "cat/deep/3.jpg", "dog/1.jpg", "dog/ä b.jpg"]


def picture(seed: int, size: tuple[int, int] = (160, 120)) -> Image.Image:
    """Soft random shapes, as unlike each other as photos are."""
    from PIL import Image

    return _drawn(seed).resize(size, Image.Resampling.LANCZOS)


@cache
def _drawn(seed: int) -> Image.Image:
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(seed)
    whole = np.zeros((240, 320, 3))
    for octave in range(4):  # large shapes with small ones on them
        shape = (3 * 2**octave, 4 * 2**octave, 3)
        coarse = Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8))
        whole += np.asarray(coarse.resize((320, 240), Image.Resampling.BICUBIC)) / 4
    return Image.fromarray(whole.astype(np.uint8))


def save(path: Path, seed: int, size: tuple[int, int] = (160, 120), **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture(seed, size).save(path, **options)
    return path


def contents(folder: Path) -> dict[str, tuple[str, int, int]]:
    """Digest, time and mode of every file below a folder, by its path; none of our own files."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name not in ("undo.jsonl", ".lock"):
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            status = path.stat()
            found[path.relative_to(folder).as_posix()] = digest, status.st_mtime_ns, status.st_mode
    return found


def why(*names: str) -> dict[str, list[str]]:
    return {name: ["tiny"] for name in names}


def crossing_disks(*_: object) -> None:
    """In place of what works on one file system only."""
    raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))


def renames_beside(source: Path, target: Path) -> None:
    """`Path.rename` where every folder is a file system."""
    if source.parent != Path(target).parent:
        crossing_disks()
    os.replace(source, target)  # noqa: PTH105 - Path's own way may be replaced by this
