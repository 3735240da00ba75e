"""Prefetching: decode in threads, ahead of the network, within a limit of images and bytes."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing
from itertools import islice
from typing import TypeAlias

from outliers_bench.data.crop_reader import split_name
from outliers_bench.data.image_files import NO_FILE
from outliers_bench.data.opencv import one_opencv_thread
from outliers_bench.errors import BenchError, InaccessibleImageError, UnreadableImageError
from outliers_bench.runtime.background import DECODING
from outliers_bench.runtime.machine import cores
from outliers_bench.types import RGB, ImageSet, Reason

AHEAD = 256  # maximum number of decoded images that wait for the network; more for large batches
AHEAD_BYTES = 2**27  # maximum size of these images

_PATIENCE = 0.3  # seconds until an iteration that is closed no longer waits for images in progress

# Digest, image or error, and seconds.
_Decoded: TypeAlias = tuple[bytes, RGB | UnreadableImageError, float]


class Decoder:
    """Iterable that decodes and resizes images in threads, a bounded number of images ahead.

    The threads run from the first image until the iteration ends or is closed; an image that is
    being decoded then is finished in the background.

    Parameters
    ----------
    images : ImageSet
        Images to decode, in this order, except that crops of one photo follow each other.
    prepare : callable
        Transformation of each decoded image; called in several threads.
    side : int or None
        Minimum length of a decoded image's sides in pixels; see `ImageReader.read`.

    Attributes
    ----------
    ahead : int
        Maximum number of decoded images that wait; can be changed during the iteration.
    inaccessible : dict of bytes to Reason
        Reason by digest of the images that could not be opened.
    seconds : float
        Decoding time, summed over the threads.
    """

    def __init__(
        self, images: ImageSet, prepare: Callable[[RGB], RGB], *, side: int | None = None
    ) -> None:
        self._images = images
        self._prepare = prepare
        self._side = side
        self._undecodable: list[tuple[bytes, Reason]] = []
        self.ahead = AHEAD
        self._threads = cores()
        self._largest = 0  # bytes of the largest prepared image so far
        self.inaccessible: dict[bytes, Reason] = {}
        self.seconds = 0.0

    def __iter__(self) -> Generator[tuple[bytes, RGB]]:
        """Yield the digest and the prepared image of each readable image, in order."""
        # OpenCV's threads within one image would compete with these, one per image.
        with one_opencv_thread():
            pool = ThreadPoolExecutor(self._threads, DECODING)
            rows = iter(self._order())
            ahead: deque[Future[_Decoded]] = deque()
            try:
                while True:
                    more = islice(rows, max(0, self._max_pending() - len(ahead)))
                    ahead.extend(pool.submit(self._decode, row) for row in more)
                    if not ahead:
                        return
                    decoded = ahead[0].result()
                    ahead.popleft()
                    yield from self._readable(*decoded)
            finally:
                # Nothing ends a decoder before its image, which can take seconds.
                running = [future for future in ahead if not future.cancel()]
                is_idle = not wait(running, _PATIENCE).not_done
                pool.shutdown(wait=is_idle, cancel_futures=True)

    def _order(self) -> list[int]:
        """Return the rows, with those of one photo next to each other: it is decoded once."""
        first: dict[str, int] = {}
        photos = (split_name(name)[0] for name in self._images.names)
        places = [first.setdefault(photo, row) for row, photo in enumerate(photos)]
        return sorted(range(len(places)), key=places.__getitem__)

    def pop_undecodable(self) -> list[tuple[bytes, Reason]]:
        """Return digest and reason of the images that could not be decoded since the last call."""
        undecodable, self._undecodable = self._undecodable, []
        return undecodable

    def _readable(
        self, digest: bytes, image: RGB | UnreadableImageError, seconds: float
    ) -> Iterator[tuple[bytes, RGB]]:
        self.seconds += seconds
        if isinstance(image, UnreadableImageError):
            reason = Reason(image.kind, image.reason)
            if isinstance(image, InaccessibleImageError):
                self.inaccessible[digest] = reason
            else:
                self._undecodable.append((digest, reason))
        else:
            self._largest = max(self._largest, image.nbytes)
            yield digest, image

    def _max_pending(self) -> int:
        """Return the maximum number of images in progress or waiting; at least one per thread."""
        if not self._largest:
            return self._threads  # their size is not known yet
        return max(self._threads, min(self.ahead, AHEAD_BYTES // self._largest))

    def _decode(self, row: int) -> _Decoded:
        start = time.perf_counter()
        try:
            decoded = self._images.read(row, side=self._side)
            image: RGB | UnreadableImageError = self._prepare(decoded)
        except UnreadableImageError as error:
            image = error
        return self._images.digests[row], image, time.perf_counter() - start


def first_readable(
    images: ImageSet, prepare: Callable[[RGB], RGB], count: int, *, side: int | None = None
) -> list[RGB]:
    """Return the first readable images of a set, prepared; at most `count`.

    At least one image, and no more than fit into `AHEAD_BYTES`: the same number on any machine.

    Raises
    ------
    BenchError
        If no image can be decoded.
    """
    sample: list[RGB] = []
    inaccessible: dict[bytes, Reason] = {}
    size = 0
    for start in range(0, len(images), count):  # no more than needed, unless some are unreadable
        part = images.take(range(start, min(start + count, len(images))))
        decoder = Decoder(part, prepare, side=side)
        with closing(iter(decoder)) as decoded:
            for _, image in decoded:
                size += image.nbytes
                if sample and size > AHEAD_BYTES:
                    return sample
                sample.append(image)
                if len(sample) == count:
                    return sample
        inaccessible |= decoder.inaccessible
    if not sample:
        raise none_readable(images, inaccessible)
    return sample


def none_readable(images: ImageSet, inaccessible: Mapping[bytes, Reason]) -> BenchError:
    """Return the error about a set of which no image can be decoded, or all files are gone."""
    reasons = [inaccessible.get(digest) for digest in images.digests]
    if all(reason is not None and reason.detail == NO_FILE for reason in reasons):
        return BenchError(
            f"all {len(images)} photos are gone: their files have been moved or deleted since the "
            "start, or their folder is no longer mounted; bring them back, and the same command "
            "continues"
        )
    return BenchError(f"none of the {len(images)} images can be decoded")
