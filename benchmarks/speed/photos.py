"""The photos that all contenders embed: a share of the user's, or generated ones."""

from __future__ import annotations

import os
from collections.abc import Sequence
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


def every(folder: Path) -> list[Path]:
    """All images that `data=folder` finds below a folder, of whatever format, sorted."""
    from outliers_bench.data.image_files import list_images

    return [folder / name for name in list_images(folder)[0]]


def in_class_folders(images: Sequence[Path], folder: Path) -> bool:
    """Whether `data=folder` takes these images as they lie: two classes, and none beside them."""
    parts = [image.relative_to(folder).parts for image in images]
    classes = {names[0] for names in parts}
    prepared = {"query", "gallery"} <= classes <= {"train", "query", "gallery"}
    return all(len(names) > 1 for names in parts) and len(classes) > 1 and not prepared


def gather(images: Sequence[Path], n: int, target: Path) -> list[Path]:
    """Put n images into ten class folders, evenly taken, as links: they may be large.

    Parameters
    ----------
    images : sequence of Path
        Absolute; none has JPEGs drawn.
    n : int
        All of them, where there are fewer.
    target : Path

    Returns
    -------
    list of Path
        The images, `<class>/<number>.jpg`. Which class is no matter: it changes no time.
    """
    taken = np.linspace(0, len(images) - 1, min(n, len(images))).astype(int)
    chosen = [images[i] for i in taken]
    files = []
    for i in range(len(chosen) or n):
        suffix = chosen[i].suffix.lower() if chosen else ".jpg"
        file = target / f"{i % CLASSES}" / f"{i:05d}{suffix}"
        file.parent.mkdir(parents=True, exist_ok=True)
        if chosen:
            file.symlink_to(chosen[i])
        else:
            file.write_bytes(drawn(i))
        files.append(file)
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
