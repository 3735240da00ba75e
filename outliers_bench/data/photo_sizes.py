"""Width and height of photos, upright, without decoding those that say it; cached by content."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from outliers_bench.data.decode import decode, read_header
from outliers_bench.data.formats.composite import orientation_of
from outliers_bench.data.image_files import FileReader
from outliers_bench.errors import UnreadableImageError
from outliers_bench.runtime.machine import cores
from outliers_bench.runtime.progress import track
from outliers_bench.store import files, memo
from outliers_bench.types import Reason

_VERSION = 2
_SETS = 100  # sets of photos whose sizes are cached
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
    with ThreadPoolExecutor(min(8, 2 * cores())) as pool:
        read = pool.map(lambda name: _read_size(reader, name), photos)
        sizes = dict(zip(photos, track(read, stage="size", total=len(photos)), strict=True))
    by_content = {digest: sizes[name] for name, digest in photos.items()}
    values = [by_content[content] for content in contents]
    if not any(isinstance(value, Reason) for value in values):
        files.save_arrays(path, sizes=np.array(values, np.int64).reshape(-1, 2))
        memo.remove_oldest(path, _SETS)
    return sizes


def _read_size(reader: FileReader, name: str) -> Size | Reason:
    try:
        data = reader.load(name, None)
        # A JPEG names its size and orientation before its pixels. Other formats are decoded.
        header = read_header(data)
        if header.format != "JPEG":
            height, width = decode(data, name=name).shape[:2]
        elif orientation_of(header.exif) in _ON_THEIR_SIDE:
            width, height = header.height, header.width
        else:
            width, height = header.width, header.height
    except UnreadableImageError as error:
        return Reason(error.kind, error.reason)
    return width, height
