"""Size and contrast of images, measured while they are decoded for another purpose."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

import numpy as np

from outliers_bench.data.content_hash import content_hash
from outliers_bench.data.decode import DECODER, decode, shrink
from outliers_bench.data.headers import HeaderError, read_header
from outliers_bench.data.image_files import describe_os_error
from outliers_bench.data.prefetch import Decoder
from outliers_bench.errors import InaccessibleImageError, UnreadableImageError
from outliers_bench.runtime.progress import track
from outliers_bench.store.features import FeatureStore
from outliers_bench.types import RGB, FloatArray, ImageSet

THUMBNAIL = 64  # longer side in pixels of the version whose contrast is measured
_BATCH_SIZE = 500  # results written at once, and the most that a kill can lose
_SPACE: dict[str, str | int | float] = {
    "architecture": "look",
    "decoder": DECODER,
    "thumbnail": THUMBNAIL,
}


@dataclass(frozen=True)
class ImageStats:
    """Size and contrast of an image.

    Parameters
    ----------
    width, height : int
        Size in pixels, as stored (before EXIF orientation).
    contrast : float
        Largest difference between two pixels in one of the color channels, of 255, after the
        image is downscaled: noise averages out, a thin line does not disappear entirely.
    """

    width: int
    height: int
    contrast: float


@dataclass(frozen=True)
class MeasuredImages:
    """Measurements of a set of images, by the digest of their content.

    Parameters
    ----------
    stats : dict of bytes to ImageStats
    unreadable : dict of bytes to str
        Reason for each image that could not be decoded.
    """

    stats: dict[bytes, ImageStats]
    unreadable: dict[bytes, str]


@dataclass(eq=False)
class MeasuringReader:
    """Reader of image files like `FileReader` that also measures each image.

    It lets the search for duplicates and cleaning share one decoding.

    Parameters
    ----------
    root : Path
        Folder that names are relative to.
    cache : Path
        Folder where the measurements are cached.
    """

    root: Path
    cache: Path
    _known: set[bytes] = field(default_factory=set)
    _measured: list[tuple[bytes, FloatArray]] = field(default_factory=list)
    _unreadable: list[tuple[bytes, str]] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock)

    def read(self, name: str, digest: bytes | None = None, *, side: int | None = None) -> RGB:
        """Decode and measure one file; see `ImageReader.read`."""
        try:
            data = (self.root / name).read_bytes()
        except OSError as error:
            raise InaccessibleImageError(f"{name}: {describe_os_error(error)}") from None
        actual = content_hash(data).digest()
        if digest is not None and actual != digest:
            raise InaccessibleImageError(f"{name}: changed during the inspection")
        with self._lock:
            is_new = actual not in self._known
            self._known.add(actual)
        try:
            image = decode(data, name=name, side=side)
        except UnreadableImageError as error:
            if is_new:
                self._record(actual, str(error).removeprefix(f"{name}: "))
            raise
        if is_new:
            self._record(actual, _measure(data, image))
        return image

    def flush(self) -> None:
        """Write the measurements to the cache."""
        with self._lock:
            measured, self._measured = self._measured, []
            unreadable, self._unreadable = self._unreadable, []
        if measured or unreadable:
            with _store(self.cache) as store:
                store.add(measured, unreadable)

    def _record(self, digest: bytes, result: FloatArray | str) -> None:
        with self._lock:
            if isinstance(result, str):
                self._unreadable.append((digest, result))
            else:
                self._measured.append((digest, result))
            is_full = len(self._measured) + len(self._unreadable) >= _BATCH_SIZE
        if is_full:
            self.flush()


def measure_images(images: ImageSet, reader: MeasuringReader) -> MeasuredImages:
    """Measure all images; only those that are not in the cache are decoded.

    Parameters
    ----------
    images : ImageSet
        Images that `reader` reads.
    reader : LookingReader

    Returns
    -------
    Looks
        Measurements of every image, one for each content.

    Raises
    ------
    BenchError
        If the cache cannot be written.
    """
    reader.flush()
    with _store(reader.cache) as store:
        known = store.known(images.digests)
    missing = images.take(_first_rows(images, known))
    # The pixels are not needed: the reader records the measurements.
    decoder = Decoder(missing, lambda image: image[:1, :1], side=THUMBNAIL)
    try:
        with closing(iter(decoder)) as decoded:
            for _ in track(decoded, stage="measure", total=len(missing)):
                pass
    finally:
        reader.flush()
    with _store(reader.cache) as store:
        stats = {
            digest: ImageStats(int(width), int(height), float(contrast))
            for digest, (width, height, contrast) in store.get(images.digests).items()
        }
        unreadable = store.unreadable(images.digests)
    inaccessible = {
        digest: message.partition(": ")[2] for digest, message in decoder.inaccessible.items()
    }
    return MeasuredImages(stats, unreadable | inaccessible)


def _store(cache: Path) -> FeatureStore:
    return FeatureStore(cache / "looks", _SPACE, 3)


def _first_rows(images: ImageSet, known: set[bytes]) -> list[int]:
    """Return the first row of each content that is not known."""
    rows: dict[bytes, int] = {}
    for row, digest in enumerate(images.digests):
        if digest not in known:
            rows.setdefault(digest, row)
    return list(rows.values())


def _measure(data: bytes, image: RGB) -> FloatArray:
    small = shrink(image, THUMBNAIL).reshape(-1, 3)
    contrast = int(np.ptp(small, axis=0).max())
    try:
        header = read_header(data)
        width, height = header.width, header.height
    except HeaderError:  # the decoder is more tolerant than the header parser
        height, width = image.shape[:2]
    return np.array([width or image.shape[1], height or image.shape[0], contrast], np.float32)
