"""The photos that all contenders embed: a share of the user's, or generated ones."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np

# What every contender can read.
SUFFIXES = {".jpg", ".jpeg"}
CLASSES = 10
WIDTH, HEIGHT = 300, 200


def default_photos() -> Path | None:
    """The photos in the folder that OUTLIERS_BENCH_SHARED names, if there is one."""
    shared = os.environ.get("OUTLIERS_BENCH_SHARED")
    folder = Path(shared or "") / "data" / "caltech101_animals"
    return folder.resolve() if shared and folder.is_dir() else None


def jpegs(folder: Path) -> list[Path]:
    """All JPEGs below a folder, sorted."""
    return sorted(file for file in folder.rglob("*") if file.suffix.lower() in SUFFIXES)


def in_class_folders(folder: Path) -> bool:
    """Whether a whole run can take the folder as it is: two class folders, and no photo beside."""
    first = [file.relative_to(folder).parts for file in jpegs(folder)]
    return all(len(parts) > 1 for parts in first) and len({parts[0] for parts in first}) > 1


def gather(source: Path | None, n: int, target: Path) -> list[Path]:
    """Put n photos into ten class folders, evenly taken from the source.

    Parameters
    ----------
    source : Path or None
        Folder of JPEGs at any depth; None has them generated.
    n : int
        All of them, where there are fewer.
    target : Path

    Returns
    -------
    list of Path
        The photos, `<class>/<number>.jpg`. Which class is no matter: it changes no time.
    """
    found = [] if source is None else jpegs(source)
    if source is not None and not found:
        raise SystemExit(f"--photos {source}: no JPEGs in this folder")
    if found:
        found = [found[i] for i in np.linspace(0, len(found) - 1, min(n, len(found))).astype(int)]
    files = [target / f"{i % CLASSES}" / f"{i:05d}.jpg" for i in range(len(found) or n)]
    for folder in {file.parent for file in files}:
        folder.mkdir(parents=True, exist_ok=True)
    for i, file in enumerate(files):
        if found:
            shutil.copy(found[i], file)
        else:
            file.write_bytes(drawn(i))
    return files


def drawn(seed: int) -> bytes:
    """A JPEG of 300 x 200 pixels, coarse shapes under fine grain: about as large as a photo's."""
    import cv2

    random = np.random.default_rng(seed)
    coarse = random.uniform(0, 255, (5, 8, 3)).astype(np.float32)
    picture = cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    picture += random.normal(0, 12, picture.shape)
    _, encoded = cv2.imencode(".jpg", picture.clip(0, 255).astype(np.uint8))
    data: bytes = encoded.tobytes()
    return data
