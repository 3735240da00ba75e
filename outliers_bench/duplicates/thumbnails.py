"""Grayscale thumbnails for the first comparison of images, cached by content."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from threading import Lock

import numpy as np
import numpy.typing as npt

from outliers_bench.data.decode import DECODER, oversampled_side, resize
from outliers_bench.data.opencv import opencv
from outliers_bench.data.prefetch import Decoder
from outliers_bench.runtime.progress import track
from outliers_bench.store.features import FeatureStore, Space
from outliers_bench.store.writer import Writer
from outliers_bench.types import RGB, FloatArray, ImageReader, ImageSet, Reason

Gray = npt.NDArray[np.uint8]

SIDE = 32
"""Side of a thumbnail in pixels; images with a shorter side are not compared."""
DECODED_SIDE = oversampled_side(SIDE)
"""Minimum side in pixels of the decoded image that a thumbnail is made of."""
_MIN_DETAIL = 0.5  # standard deviation of what a blur removes, of 255
_BLOCK = 4096  # thumbnails processed together
_SPACE: Space = {
    **{"architecture": "duplicate thumbnails", "version": 1},
    **{"side": SIDE, "decoder": DECODER},
}


@dataclass(frozen=True, eq=False)
class Thumbnails:
    """The thumbnails of a set of images: of n that can be compared, and why not of the others."""

    gray: Gray  # shape (n, SIDE, SIDE)
    rows: npt.NDArray[np.int64]  # in the set, shape (n,)
    unreadable: dict[int, Reason]  # by row
    not_compared: dict[int, str]  # row and reason: too small or too flat
    has_inaccessible: bool  # whether some could not be opened, but may be the next time


def load_or_make_thumbnails(images: ImageSet, cache: Path) -> Thumbnails:
    """Load the thumbnails of images from the feature store, and make those that are missing.

    Raises
    ------
    BenchError
        If the cache cannot be written.
    """
    inaccessible: dict[bytes, Reason] = {}
    with _open_store(cache) as store:
        missing = images.without(store.known(images.digests))
        if len(missing):
            decoder = Decoder(missing, _thumbnail, side=DECODED_SIDE)
            with (
                closing(iter(decoder)) as decoded,
                Writer(partial(_open_store, cache), decoder.pop_undecodable, how="") as writer,
            ):
                for digest, image in track(decoded, stage="compare", total=len(missing)):
                    writer.add(digest, image.ravel())
            inaccessible = decoder.inaccessible
        reasons = store.unreadable(images.digests) | inaccessible
        known = store.get(images.digests)
    return _select_comparable(images.digests, known, reasons, has_inaccessible=bool(inaccessible))


@contextmanager
def share_decodings(images: ImageSet, cache: Path) -> Iterator[ImageSet]:
    """Make thumbnails of images while they are decoded for another purpose, such as embedding.

    Yields the same images, whose reader stores the thumbnail of each that it decodes, except with a
    side below `DECODED_SIDE`.

    Raises
    ------
    BenchError
        If the cache cannot be written.
    """
    with _open_store(cache) as store:
        missing = set(images.digests) - store.known(images.digests)
    with Writer(partial(_open_store, cache), list, how="") as writer:
        try:
            yield replace(images, reader=_ThumbnailReader(images.reader, missing, writer))
        finally:
            missing.clear()  # the reader may be used later, when the writer is closed


@dataclass(frozen=True)
class _ThumbnailReader:
    """Reader that stores the thumbnails of the images that it decodes."""

    reader: ImageReader
    missing: set[bytes]
    writer: Writer
    lock: Lock = field(default_factory=Lock)

    def read(self, name: str, digest: bytes | None = None, *, side: int | None = None) -> RGB:
        """Decode one image; see `ImageReader.read`."""
        image = self.reader.read(name, digest, side=side)
        if digest is not None and (side is None or side >= DECODED_SIDE):
            with self.lock:  # an image may be read several times, in several threads
                is_missing = digest in self.missing
                self.missing.discard(digest)
            if is_missing:
                thumbnail = _thumbnail(image).ravel()
                with self.lock:
                    self.writer.add(digest, thumbnail)
        return image


def _open_store(cache: Path) -> FeatureStore:
    return FeatureStore(cache / "features", _SPACE, None, "|u1")


def _thumbnail(image: RGB) -> RGB:
    """Return the image as a gray square; empty if it is too small."""
    if min(image.shape[:2]) < SIDE:
        return np.empty(0, np.uint8)
    return gray_square(image, SIDE)


def gray_square(image: RGB, side: int) -> Gray:
    """Resize an image to a gray square; `side` in pixels."""
    cv2 = opencv()
    square: Gray = cv2.cvtColor(resize(image, side), cv2.COLOR_RGB2GRAY)
    return square


def _select_comparable(
    digests: Sequence[bytes],
    known: Mapping[bytes, npt.NDArray[np.uint8]],
    reasons: Mapping[bytes, Reason],
    *,
    has_inaccessible: bool,
) -> Thumbnails:
    unreadable = {row: reasons[d] for row, d in enumerate(digests) if d in reasons}
    small = [row for row, d in enumerate(digests) if d in known and not known[d].size]
    not_compared = dict.fromkeys(small, f"too small to judge: a side is below {SIDE} pixels")
    rows = [row for row, d in enumerate(digests) if row not in not_compared and d in known]
    gray = np.empty((len(rows), SIDE, SIDE), np.uint8)
    for at, row in enumerate(rows):
        gray[at] = known[digests[row]].reshape(SIDE, SIDE)
    flat = np.zeros(len(rows), np.bool_)
    for start in range(0, len(rows), _BLOCK):
        block = slice(start, start + _BLOCK)
        flat[block] = _detail(gray[block]) < _MIN_DETAIL
    at_rows = np.array(rows, np.int64)
    not_compared |= dict.fromkeys(at_rows[flat].tolist(), "too flat to judge: hardly any detail")
    return Thumbnails(gray[~flat], at_rows[~flat], unreadable, not_compared, has_inaccessible)


def _detail(gray: Gray) -> FloatArray:
    """Return the amount of detail finer than three pixels in each thumbnail, shape (n,)."""
    fine: FloatArray = gray.astype(np.float32)
    for axis in (1, 2):
        fine = fine - (np.roll(fine, 1, axis) + fine + np.roll(fine, -1, axis)) / np.float32(3)
    return np.asarray(fine[:, 1:-1, 1:-1].std(axis=(1, 2)), np.float32)
