"""Photos to embed: a sample of those of the user, or generated ones."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

# Formats that all libraries can read.
SUFFIXES = {".jpg", ".jpeg"}
CLASSES = 10
WIDTH, HEIGHT = 300, 200


def default_photos() -> Path | None:
    """Return the photos in the folder that OUTLIERS_BENCH_SHARED names; None if there are none."""
    shared = os.environ.get("OUTLIERS_BENCH_SHARED")
    folder = Path(shared or "") / "data" / "caltech101_animals"
    return folder.resolve() if shared and folder.is_dir() else None


def list_jpegs(folder: Path) -> list[Path]:
    """List all JPEGs below a folder, sorted."""
    return sorted(file for file in folder.rglob("*") if file.suffix.lower() in SUFFIXES)


def list_all(folder: Path) -> list[Path]:
    """List all images that `data=folder` reads below a folder, of any format, sorted."""
    from outliers_bench.data.listing import list_images

    return [folder / name for name in list_images(folder)[0]]


def has_class_folders(images: Sequence[Path], folder: Path) -> bool:
    """Check whether `data=folder` accepts the folder: two class folders, and no other images."""
    parts = [image.relative_to(folder).parts for image in images]
    classes = {names[0] for names in parts}
    prepared = {"query", "gallery"} <= classes <= {"train", "query", "gallery"}
    return all(len(names) > 1 for names in parts) and len(classes) > 1 and not prepared


def link_photos(images: Sequence[Path], n: int, target: Path) -> list[Path]:
    """Link n evenly spaced images into ten class folders.

    Parameters
    ----------
    images : sequence of Path
        Absolute paths; if empty, JPEGs are generated.
    n : int
        Number of images; if there are fewer, all are linked.
    target : Path

    Returns
    -------
    list of Path
        The links, `<class>/<number>.jpg`. The classes are arbitrary: they do not affect the times.
    """
    rows = np.linspace(0, len(images) - 1, min(n, len(images))).astype(int)
    chosen = [images[i] for i in rows]
    files = []
    for i in range(len(chosen) or n):
        suffix = chosen[i].suffix.lower() if chosen else ".jpg"
        file = target / f"{i % CLASSES}" / f"{i:05d}{suffix}"
        file.parent.mkdir(parents=True, exist_ok=True)
        if chosen:
            file.symlink_to(chosen[i])
        else:
            file.write_bytes(draw_jpeg(i))
        files.append(file)
    return files


def draw_jpeg(seed: int) -> bytes:
    """Generate a JPEG of 300 x 200 pixels; coarse shapes and noise give it the size of a photo."""
    import cv2

    random = np.random.default_rng(seed)
    coarse = random.uniform(0, 255, (5, 8, 3)).astype(np.float32)
    image = cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    image += random.normal(0, 12, image.shape)
    _, encoded = cv2.imencode(".jpg", image.clip(0, 255).astype(np.uint8))
    data: bytes = encoded.tobytes()
    return data
