"""Crops of photos: their names and digests, and a reader that decodes a photo once for several."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import NamedTuple

import numpy as np

from outliers_bench.data.content_hash import content_hash
from outliers_bench.data.decode import decode
from outliers_bench.data.digests import digest_files
from outliers_bench.data.image_files import FileReader
from outliers_bench.errors import InaccessibleImageError, UnreadableImageError
from outliers_bench.types import RGB, LeftOut

RECENT_BYTES = 2**27  # maximum size of the decoded photos that wait for their next crop
_NAME = re.compile(r"(.+)#(\d+),(\d+),(\d+),(\d+)", re.DOTALL)


class Rectangle(NamedTuple):
    """Pixels of a photo as it is shown, upright: left, top, width and height."""

    left: int
    top: int
    width: int
    height: int


def crop_name(photo: str, rectangle: Rectangle) -> str:
    """Return the name of a crop.

    Examples
    --------
    >>> crop_name("lions/1.jpg", Rectangle(10, 20, 100, 80))
    'lions/1.jpg#10,20,100,80'
    >>> split_name("lions/1.jpg#10,20,100,80")
    ('lions/1.jpg', Rectangle(left=10, top=20, width=100, height=80))
    """
    return f"{photo}#{','.join(map(str, rectangle))}"


def split_name(name: str) -> tuple[str, Rectangle | None]:
    """Return the photo of a name, and its rectangle; None for a whole photo."""
    # Most names are of whole photos, and a search is faster than a match.
    if "#" not in name or (found := _NAME.fullmatch(name)) is None:
        return name, None
    return found[1], Rectangle(*map(int, found.groups()[1:]))


def crop_digest(photo: bytes, rectangle: Rectangle) -> bytes:
    """Return the content digest of a crop, given that of its photo."""
    return content_hash(photo + f" crop {rectangle[:]}".encode()).digest()


def digest_images(
    root: Path, names: Sequence[str], *, cache: Path
) -> tuple[dict[str, bytes], list[LeftOut]]:
    """Compute the content digest of each photo or crop; see `digest_files`."""
    parts = {name: split_name(name) for name in names}
    photos, unreadable = digest_files(root, [photo for photo, _ in parts.values()], cache=cache)
    reasons = {item.name: item for item in unreadable}
    digests = {
        name: photos[photo] if rectangle is None else crop_digest(photos[photo], rectangle)
        for name, (photo, rectangle) in parts.items()
        if photo in photos
    }
    left_out = [
        LeftOut(name, reasons[photo].kind, reasons[photo].detail)
        for name, (photo, _) in parts.items()
        if photo in reasons
    ]
    return digests, left_out


class RecentPhotos:
    """The last decoded photos, up to `RECENT_BYTES`; each is decoded by one of several threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._photos: dict[str, Future[tuple[RGB, bytes]]] = {}  # oldest first

    def get(self, name: str, read: Callable[[], tuple[RGB, bytes]]) -> tuple[RGB, bytes]:
        """Return a photo, read if it is not among the last ones."""
        with self._lock:
            is_new = name not in self._photos
            future = self._photos.setdefault(name, Future())
        if is_new:
            try:
                future.set_result(read())
            except BaseException as error:
                with self._lock:
                    del self._photos[name]  # it may be readable the next time
                future.set_exception(error)
            else:
                self._remove_oldest()
        return future.result()

    def _remove_oldest(self) -> None:
        with self._lock:
            done = [name for name, future in self._photos.items() if future.done()]
            size = sum(self._photos[name].result()[0].nbytes for name in done)
            for name in done:
                if size <= RECENT_BYTES:
                    break
                size -= self._photos.pop(name).result()[0].nbytes


@dataclass(frozen=True)
class CropReader(FileReader):
    """Reader of crops of image files, and of whole ones; see `crop_name`.

    A photo is decoded in full size, because the pixels of a crop of a reduced photo would depend
    on the crop's position.
    """

    recent: RecentPhotos = field(default_factory=RecentPhotos, repr=False, compare=False)

    def read(self, name: str, digest: bytes | None = None, *, side: int | None = None) -> RGB:
        """Decode one photo or crop; see `ImageReader.read`."""
        photo, rectangle = split_name(name)
        if rectangle is None:
            return super().read(name, digest, side=side)
        image, content = self.recent.get(photo, lambda: self._read_photo(photo))
        if digest is not None and crop_digest(content, rectangle) != digest:
            raise InaccessibleImageError("changed during the run", name=name)
        left, top, width, height = rectangle
        if left + width > image.shape[1] or top + height > image.shape[0]:
            size = f"{image.shape[1]} x {image.shape[0]} pixels"
            raise UnreadableImageError(f"the photo has only {size}", name=name)
        return np.ascontiguousarray(image[top : top + height, left : left + width])

    def _read_photo(self, name: str) -> tuple[RGB, bytes]:
        data = self.load(name, None)
        return decode(data, name=name), content_hash(data).digest()
