"""Size and contrast of images, measured while they are decoded for another purpose."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import NamedTuple

import numpy as np

from outliers_bench.data.decode import DECODER, decode, read_header, shrink
from outliers_bench.data.image_files import FileReader
from outliers_bench.data.prefetch import Decoder
from outliers_bench.errors import UnreadableImageError
from outliers_bench.runtime.progress import track
from outliers_bench.store.features import FeatureStore, Space
from outliers_bench.types import RGB, FloatArray, ImageSet, Reason

_BATCH_SIZE = 500  # results written at once, and the most that a kill can lose
THUMBNAIL = 64  # longer side in pixels of the version whose contrast is measured
_SPACE: Space = {"architecture": "look", "decoder": DECODER, "thumbnail": THUMBNAIL}


class ImageStats(NamedTuple):
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


@dataclass(frozen=True, eq=False)
class MeasuringReader(FileReader):
    """Reader of image files that also measures each image.

    It lets the search for duplicates and cleaning share one decoding.

    Parameters
    ----------
    root : Path
        Folder that names are relative to.
    cache : Path
        Folder where the measurements are cached.

    Attributes
    ----------
    measured : dict of bytes to array of float32, shape (3,)
        Width, height and contrast of the contents that are not in the cache yet.
    unreadable : dict of bytes to Reason
        Reason for each of the others, which cannot be decoded.
    """

    cache: Path = field(kw_only=True)
    measured: dict[bytes, FloatArray] = field(default_factory=dict)
    unreadable: dict[bytes, Reason] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)  # images are decoded in several threads

    def read(self, name: str, digest: bytes | None = None, *, side: int | None = None) -> RGB:
        """Decode and measure one file; see `ImageReader.read`."""
        data = self.load(name, digest)
        try:
            image = decode(data, name=name, side=side)
        except UnreadableImageError as error:
            if digest is not None:
                with self._lock:
                    self.unreadable[digest] = Reason(error.kind, error.reason)
            raise
        if digest is not None and digest not in self.measured:
            measurements = _measure(data, image)
            with self._lock:
                self.measured[digest] = measurements
                if len(self.measured) >= _BATCH_SIZE:
                    self._store()
        return image

    def store(self) -> None:
        """Move the measurements to the cache."""
        with self._lock:
            self._store()

    def _store(self) -> None:
        with _store(self.cache) as store:
            store.add(self.measured.items(), self.unreadable.items())
        self.measured.clear()
        self.unreadable.clear()


def measure_images(images: ImageSet, reader: MeasuringReader) -> dict[bytes, ImageStats | Reason]:
    """Measure all images; only those that are not in the cache are decoded.

    Parameters
    ----------
    images : ImageSet
        Images that `reader` reads.
    reader : MeasuringReader

    Returns
    -------
    dict of bytes to ImageStats or Reason
        The measurements of each content, or the reason why it cannot be decoded.

    Raises
    ------
    BenchError
        If the cache cannot be written.
    """
    reader.store()
    with _store(reader.cache) as store:
        known = store.known(images.digests)
    rows = {digest: row for row, digest in enumerate(images.digests) if digest not in known}
    missing = images.take(sorted(rows.values()))  # each content once
    # The pixels are not needed: the reader records the measurements.
    decoder = Decoder(missing, lambda image: image[:1, :1], side=THUMBNAIL)
    with closing(iter(decoder)) as decoded:
        for _ in track(decoded, stage="measure", total=len(missing)):
            pass
    reader.store()
    results: dict[bytes, ImageStats | Reason] = {**decoder.inaccessible}
    with _store(reader.cache) as store:
        results |= store.unreadable(images.digests)
        for digest, (width, height, contrast) in store.get(images.digests).items():
            results[digest] = ImageStats(int(width), int(height), float(contrast))
    return results


def _store(cache: Path) -> FeatureStore:
    return FeatureStore(cache / "looks", _SPACE, 3)


def _measure(data: bytes, image: RGB) -> FloatArray:
    small = shrink(image, THUMBNAIL).reshape(-1, 3)
    contrast = int(np.ptp(small, axis=0).max())
    header = read_header(data)
    height, width = image.shape[:2]  # some TIFF headers do not state the size
    return np.array([header.width or width, header.height or height, contrast], np.float32)
