"""What cleaning wants to know of a picture, seen while it is decoded for something else."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

import numpy as np

from outliers_bench.data.content_hash import content_hash
from outliers_bench.data.decode import DECODER, decode, shrink
from outliers_bench.data.headers import HeaderError, read_header
from outliers_bench.data.image_files import reason
from outliers_bench.data.prefetch import Decoder
from outliers_bench.errors import InaccessibleImageError, UnreadableImageError
from outliers_bench.runtime.progress import track
from outliers_bench.store.features import FeatureStore
from outliers_bench.types import RGB, FloatArray, ImageSet

THUMBNAIL = 64  # pixels of the longer side, over which contrast is told
_AT_ONCE = 500  # looks lost by a kill at most
_SPACE: dict[str, str | int | float] = {
    "architecture": "look",
    "decoder": DECODER,
    "thumbnail": THUMBNAIL,
}


@dataclass(frozen=True)
class Look:
    """The outside of a picture.

    Parameters
    ----------
    width, height : int
        Pixels, as stored (before EXIF orientation).
    contrast : float
        Largest difference between two pixels in one of the colors, of 255, when the picture is
        made small: noise averages out, a thin line does not quite.
    """

    width: int
    height: int
    contrast: float


@dataclass(frozen=True)
class Looks:
    """What was seen of some pictures, by the digest of their content.

    Parameters
    ----------
    seen : dict of bytes to Look
    unreadable : dict of bytes to str
        Why others could not be decoded.
    """

    seen: dict[bytes, Look]
    unreadable: dict[bytes, str]


@dataclass(eq=False)
class LookingReader:
    """Decodes image files like `FileReader`, and takes down what each looks like.

    So that the search for duplicates and cleaning share one decoding.

    Parameters
    ----------
    root : Path
        Where names start.
    cache : Path
        Where looks are kept.
    """

    root: Path
    cache: Path
    _known: set[bytes] = field(default_factory=set)
    _looks: list[tuple[bytes, FloatArray]] = field(default_factory=list)
    _unreadable: list[tuple[bytes, str]] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock)

    def read(self, name: str, digest: bytes | None = None, *, side: int | None = None) -> RGB:
        """Decode one file; see `ImageReader.read`."""
        try:
            data = (self.root / name).read_bytes()
        except OSError as error:
            raise InaccessibleImageError(f"{name}: {reason(error)}") from None
        found = content_hash(data).digest()
        if digest is not None and found != digest:
            raise InaccessibleImageError(f"{name}: changed while it was looked at")
        with self._lock:
            new = found not in self._known
            self._known.add(found)
        try:
            image = decode(data, name=name, side=side)
        except UnreadableImageError as error:
            if new:
                self._take_down(found, str(error).removeprefix(f"{name}: "))
            raise
        if new:
            self._take_down(found, _look(data, image))
        return image

    def flush(self) -> None:
        """Store what was seen."""
        with self._lock:
            looks, self._looks = self._looks, []
            unreadable, self._unreadable = self._unreadable, []
        if looks or unreadable:
            with _store(self.cache) as store:
                store.add(looks, unreadable)

    def _take_down(self, digest: bytes, seen: FloatArray | str) -> None:
        with self._lock:
            if isinstance(seen, str):
                self._unreadable.append((digest, seen))
            else:
                self._looks.append((digest, seen))
            full = len(self._looks) + len(self._unreadable) >= _AT_ONCE
        if full:
            self.flush()


def look_at(images: ImageSet, reader: LookingReader) -> Looks:
    """What all images look like; decodes those that nobody has looked at yet.

    Parameters
    ----------
    images : ImageSet
        Read by `reader`.
    reader : LookingReader

    Returns
    -------
    Looks
        Of every image, once for each content.

    Raises
    ------
    BenchError
        If the cache cannot be written.
    """
    reader.flush()
    with _store(reader.cache) as store:
        known = store.known(images.digests)
    missing = images.take(_first_rows(images, known))
    # Nothing but the look is wanted, which the reader takes down.
    decoder = Decoder(missing, lambda image: image[:1, :1], side=THUMBNAIL)
    try:
        with closing(iter(decoder)) as decoded:
            for _ in track(decoded, stage="look", total=len(missing)):
                pass
    finally:
        reader.flush()
    with _store(reader.cache) as store:
        seen = {
            digest: Look(int(width), int(height), float(contrast))
            for digest, (width, height, contrast) in store.get(images.digests).items()
        }
        unreadable = store.unreadable(images.digests)
    gone = {digest: said.partition(": ")[2] for digest, said in decoder.inaccessible.items()}
    return Looks(seen, unreadable | gone)


def _store(cache: Path) -> FeatureStore:
    return FeatureStore(cache / "looks", _SPACE, 3)


def _first_rows(images: ImageSet, known: set[bytes]) -> list[int]:
    """A row of each content that is not known."""
    rows: dict[bytes, int] = {}
    for row, digest in enumerate(images.digests):
        if digest not in known:
            rows.setdefault(digest, row)
    return list(rows.values())


def _look(data: bytes, image: RGB) -> FloatArray:
    small = shrink(image, THUMBNAIL).reshape(-1, 3)
    contrast = int(np.ptp(small, axis=0).max())
    try:
        header = read_header(data)
        width, height = header.width, header.height
    except HeaderError:  # decoded all the same
        height, width = image.shape[:2]
    return np.array([width or image.shape[1], height or image.shape[0], contrast], np.float32)
