"""Small gray pictures by which images are compared first, kept by content."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from outliers_bench.data.decode import DECODER, oversampled, resize
from outliers_bench.data.opencv import opencv
from outliers_bench.data.prefetch import Decoder
from outliers_bench.runtime.progress import track
from outliers_bench.store.features import FeatureStore, Space
from outliers_bench.store.writer import Writer
from outliers_bench.types import RGB, FloatArray, ImageSet

Gray = npt.NDArray[np.uint8]

SIDE = 32
"""Of a thumbnail, in pixels; images with a shorter side than this are not judged."""
_LEAST_DETAIL = 0.5  # standard deviation of what a blur takes away, of 255
_BLOCK = 4096  # thumbnails that are looked at together
_SPACE: Space = {
    "architecture": "duplicate thumbnails",
    "version": 1,
    "side": SIDE,
    "decoder": DECODER,
}


@dataclass(frozen=True, eq=False)
class Thumbnails:
    """The thumbnails of a set of images.

    Parameters
    ----------
    gray : array of uint8, shape (n, SIDE, SIDE)
        Of the images that can be judged.
    rows : array of int64, shape (n,)
        Which rows of the set they are.
    unreadable : dict of int to str
        Row and reason of the images that could not be decoded.
    unjudged : dict of int to str
        Row and reason of the images that are too small or too flat.
    fleeting : bool
        Whether some images could not be opened this time, which says nothing of the next.
    """

    gray: Gray
    rows: npt.NDArray[np.int64]
    unreadable: dict[int, str]
    unjudged: dict[int, str]
    fleeting: bool


def thumbnails(images: ImageSet, cache: Path) -> Thumbnails:
    """Make the thumbnails of images, or find them in the cache.

    Parameters
    ----------
    images : ImageSet
        Each content once.
    cache : Path
        They lie in `features` there, like all that is made of an image's content.

    Raises
    ------
    BenchError
        If the cache cannot be written.
    """
    open_store = partial(FeatureStore, cache / "features", _SPACE, None, "|u1")
    inaccessible: dict[bytes, str] = {}
    with open_store() as store:
        missing = images.without(store.known(images.digests))
        if len(missing):
            decoder = Decoder(missing, _thumbnail, side=oversampled(SIDE))
            with (
                closing(iter(decoder)) as decoded,
                Writer(open_store, decoder.take_damaged, how="") as writer,
            ):
                for digest, image in track(decoded, stage="compare", total=len(missing)):
                    writer.add(digest, image.ravel())
            inaccessible = decoder.inaccessible
        reasons = store.unreadable(images.digests) | inaccessible
        known = store.get(images.digests)
    return _sorted_out(images.digests, known, reasons, fleeting=bool(inaccessible))


def _thumbnail(image: RGB) -> RGB:
    """The image as a gray square; nothing of one that is too small."""
    if min(image.shape[:2]) < SIDE:
        return np.empty(0, np.uint8)
    return gray_square(image, SIDE)


def gray_square(image: RGB, side: int) -> Gray:
    """An image squeezed to a gray square of so many pixels a side."""
    cv2 = opencv()
    square: Gray = cv2.cvtColor(resize(image, side), cv2.COLOR_RGB2GRAY)
    return square


def _sorted_out(
    digests: Sequence[bytes],
    known: Mapping[bytes, npt.NDArray[np.uint8]],
    reasons: Mapping[bytes, str],
    *,
    fleeting: bool,
) -> Thumbnails:
    unreadable = {row: reasons[d] for row, d in enumerate(digests) if d in reasons}
    small = [row for row, d in enumerate(digests) if d in known and not known[d].size]
    unjudged = dict.fromkeys(small, f"too small to judge: a side is below {SIDE} pixels")
    rows = [row for row, d in enumerate(digests) if row not in unjudged and d in known]
    gray = np.empty((len(rows), SIDE, SIDE), np.uint8)
    for at, row in enumerate(rows):
        gray[at] = known[digests[row]].reshape(SIDE, SIDE)
    flat = np.zeros(len(rows), np.bool_)
    for start in range(0, len(rows), _BLOCK):
        some = slice(start, start + _BLOCK)
        flat[some] = _detail(gray[some]) < _LEAST_DETAIL
    at_rows = np.array(rows, np.int64)
    unjudged |= dict.fromkeys(at_rows[flat].tolist(), "too flat to judge: hardly any detail")
    return Thumbnails(gray[~flat], at_rows[~flat], unreadable, unjudged, fleeting)


def _detail(gray: Gray) -> FloatArray:
    """How much of each thumbnail is finer than three pixels, shape (n,)."""
    fine: FloatArray = gray.astype(np.float32)
    for axis in (1, 2):
        fine = fine - (np.roll(fine, 1, axis) + fine + np.roll(fine, -1, axis)) / np.float32(3)
    return np.asarray(fine[:, 1:-1, 1:-1].std(axis=(1, 2)), np.float32)
