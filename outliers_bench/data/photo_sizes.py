"""Width and height of photos, upright, without decoding those that say it; cached by content."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from outliers_bench.data.image_files import FileReader
from outliers_bench.errors import UnreadableImageError
from outliers_bench.runtime.machine import cores
from outliers_bench.runtime.progress import track
from outliers_bench.store import files, memo
from outliers_bench.types import Reason

_VERSION = 1
_SETS = 100  # sets of photos whose sizes are cached
_ORIENTATION = 0x0112
_ON_THEIR_SIDE = (5, 6, 7, 8)

Size = tuple[int, int]


def read_sizes(
    reader: FileReader, photos: Mapping[str, bytes], *, cache: Path
) -> dict[str, Size | Reason]:
    """Return the width and height in pixels of each photo as it is shown, upright.

    Parameters
    ----------
    reader : FileReader
        Reads the photos.
    photos : mapping of str to bytes
        Name and content digest of each photo.
    cache : Path
        Cache directory: the sizes of a set of photos are read once.

    Returns
    -------
    dict of str to (int, int) or Reason
        The reason for a photo that cannot be decoded.
    """
    contents = sorted(set(photos.values()))
    key = files.digest_of({"version": _VERSION}, np.frombuffer(b"".join(contents), np.uint8))
    path = cache / "sizes" / f"{key}.npz"
    stored = memo.load(path, files.read_arrays)
    if stored is not None and stored["sizes"].shape == (len(contents), 2):
        known = dict(zip(contents, map(tuple, stored["sizes"].tolist()), strict=True))
        return {name: known[digest] for name, digest in photos.items()}
    with warnings.catch_warnings(), ThreadPoolExecutor(min(8, 2 * cores())) as pool:
        warnings.simplefilter("ignore")  # Pillow's about EXIF and large photos
        read = pool.map(lambda name: _read_size(reader, name), photos)
        sizes = dict(zip(photos, track(read, stage="size", total=len(photos)), strict=True))
    by_content = {digest: sizes[name] for name, digest in photos.items()}
    values = [by_content[content] for content in contents]
    if not any(isinstance(value, Reason) for value in values):
        files.save_arrays(path, sizes=np.array(values, np.int64).reshape(-1, 2))
        memo.remove_oldest(path, _SETS)
    return sizes


def _read_size(reader: FileReader, name: str) -> Size | Reason:
    from PIL import Image

    try:
        # A JPEG names its size and orientation before its pixels. Other formats are decoded.
        with Image.open(reader.root / name, formats=["JPEG"]) as image:
            width, height = image.size
            if image.getexif().get(_ORIENTATION, 1) in _ON_THEIR_SIDE:
                width, height = height, width
            return width, height
    except Exception:  # Pillow raises almost any exception for a damaged file
        try:
            height, width = reader.read(name).shape[:2]
        except UnreadableImageError as error:
            return Reason(error.kind, error.reason)
        return width, height
