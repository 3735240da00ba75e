"""Folders of generated photos, snapshots of a folder, and a simulated second file system."""

from __future__ import annotations

import errno
import hashlib
import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from outliers_bench.apps.clean.quarantine import Quarantine

if TYPE_CHECKING:
    from PIL import Image

NAMES = ["cat/1.jpg", "cat/2.jpg", "cat/deep/3.jpg", "dog/1.jpg", "dog/ä b.jpg"]


def random_image(seed: int, size: tuple[int, int] = (160, 120)) -> Image.Image:
    """Return an image of soft random shapes; images differ from each other as photos do."""
    from PIL import Image

    return _draw(seed).resize(size, Image.Resampling.LANCZOS)


@cache
def _draw(seed: int) -> Image.Image:
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(seed)
    total = np.zeros((240, 320, 3))
    for octave in range(4):  # from large shapes to small ones
        shape = (3 * 2**octave, 4 * 2**octave, 3)
        coarse = Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8))
        total += np.asarray(coarse.resize((320, 240), Image.Resampling.BICUBIC)) / 4
    return Image.fromarray(total.astype(np.uint8))


def save_image(
    path: Path, seed: int, size: tuple[int, int] = (160, 120), **options: object
) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    random_image(seed, size).save(path, **options)
    return path


def file_states(folder: Path) -> dict[str, tuple[str, int, int]]:
    """Return digest, time and mode of every photo below a folder, by path."""
    states = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name not in ("undo.jsonl", ".lock"):
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            status = path.stat()
            states[path.relative_to(folder).as_posix()] = digest, status.st_mtime_ns, status.st_mode
    return states


def tiny_photos(*names: str) -> dict[str, list[str]]:
    return {name: ["tiny"] for name in names}


def raise_cross_device(*_: object) -> None:
    """Replacement of a function that fails across file systems."""
    raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))


def rename_within_folder(source: Path, target: Path) -> None:
    """Replacement of `Path.rename` as if every folder were a file system of its own."""
    if source.parent != Path(target).parent:
        raise_cross_device()
    os.replace(source, target)  # noqa: PTH105 - Path.rename may be replaced by this function


def create_quarantine(root: Path, names: list[str] = NAMES) -> Quarantine:
    """Write a file for each name below the root; return a quarantine next to the root."""
    for number, name in enumerate(names):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode() * 100)
        os.utime(path, ns=(10**18 + number, 10**18 + number))
    return Quarantine(root, root.with_name("quarantine"))


def all_states(tmp_path: Path) -> list[tuple[str, int, int]]:
    """Return the states of all files in `photos` and `quarantine`, wherever they are."""
    return sorted(
        [*file_states(tmp_path / "photos").values(), *file_states(tmp_path / "quarantine").values()]
    )
