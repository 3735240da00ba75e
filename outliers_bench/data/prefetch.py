"""Decoding ahead of the network: in threads, a bounded number of images and bytes."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from itertools import islice

from outliers_bench.data.opencv import one_opencv_thread
from outliers_bench.errors import BenchError, InaccessibleImageError, UnreadableImageError
from outliers_bench.runtime.machine import cores
from outliers_bench.types import RGB, ImageSet

AHEAD = 256  # decoded images that may wait for the network, if its batches are no larger
AHEAD_BYTES = 2**27  # and what they may take: large squares are many bytes


@dataclass(frozen=True)
class Decoded:
    """One image, or the reason why there is none."""

    digest: bytes
    image: RGB | UnreadableImageError
    seconds: float


class Decoder:
    """Decodes and resizes in threads, a bounded number of images ahead of whoever iterates.

    Its threads live from the first image to the end of the iteration, or until it is closed.

    Parameters
    ----------
    images : ImageSet
        What is decoded, in this order.
    prepare : callable
        What is made of each decoded image; called in several threads.
    side : int or None
        Pixels that a decoded image's sides must at least have; see `ImageReader.read`.

    Attributes
    ----------
    ahead : int
        How many decoded images may wait; may be set while it is at work.
    inaccessible : dict of bytes to str
        Digest and reason of the images that could not be opened.
    seconds : float
        Time spent decoding, summed over threads.
    """

    def __init__(
        self, images: ImageSet, prepare: Callable[[RGB], RGB], *, side: int | None = None
    ) -> None:
        self._images = images
        self._prepare = prepare
        self._side = side
        self._damaged: list[tuple[bytes, str]] = []
        self.ahead = AHEAD
        self._threads = cores()
        self._largest = 0  # bytes of a prepared image, so far
        self.inaccessible: dict[bytes, str] = {}
        self.seconds = 0.0

    def __iter__(self) -> Generator[tuple[bytes, RGB]]:
        """Digest and prepared image of all that can be decoded, in the order of the set."""
        # A thread each for OpenCV's parts of one image would fight with ours, one an image.
        with one_opencv_thread(), ThreadPoolExecutor(self._threads, "decode") as pool:
            rows = iter(range(len(self._images)))
            ahead: deque[Future[Decoded]] = deque()
            try:
                while True:
                    more = islice(rows, max(0, self._room() - len(ahead)))
                    ahead.extend(pool.submit(self._decode, row) for row in more)
                    if not ahead:
                        return
                    yield from self._readable(ahead.popleft().result())
            finally:
                pool.shutdown(cancel_futures=True)

    def take_damaged(self) -> list[tuple[bytes, str]]:
        """Digest and reason of the images found to be damaged since the last call."""
        damaged, self._damaged = self._damaged, []
        return damaged

    def _readable(self, decoded: Decoded) -> Iterator[tuple[bytes, RGB]]:
        self.seconds += decoded.seconds
        if isinstance(decoded.image, InaccessibleImageError):
            self.inaccessible[decoded.digest] = str(decoded.image)
        elif isinstance(decoded.image, UnreadableImageError):
            self._damaged.append((decoded.digest, str(decoded.image)))
        else:
            self._largest = max(self._largest, decoded.image.nbytes)
            yield decoded.digest, decoded.image

    def _room(self) -> int:
        """How many images may be under way or wait: as few as there are threads, if need be."""
        if not self._largest:
            return self._threads  # nobody knows yet how large they are
        return max(self._threads, min(self.ahead, AHEAD_BYTES // self._largest))

    def _decode(self, row: int) -> Decoded:
        start = time.perf_counter()
        try:
            whole = self._images.read(row, side=self._side)
            image: RGB | UnreadableImageError = self._prepare(whole)
        except UnreadableImageError as error:
            image = error
        return Decoded(self._images.digests[row], image, time.perf_counter() - start)


def first_readable(
    images: ImageSet, prepare: Callable[[RGB], RGB], count: int, *, side: int | None = None
) -> list[RGB]:
    """The first images of a set that can be decoded, prepared; fewer than `count` if need be.

    At least one, and no more than fit into `AHEAD_BYTES`: as many whatever the machine.

    Raises
    ------
    BenchError
        If none can be decoded.
    """
    sample: list[RGB] = []
    room = AHEAD_BYTES
    start, end = 0, 0
    while len(sample) < count and room > 0 and end < len(images):
        # No more than are wanted, unless some cannot be read.
        start, end = end, min(len(images), end + count - len(sample))
        part = images.take(range(start, end))
        with closing(iter(Decoder(part, prepare, side=side))) as decoded:
            for _, image in decoded:
                room -= image.nbytes
                if sample and room < 0:
                    break
                sample.append(image)
    if not sample:
        raise BenchError(f"none of the {len(images)} images can be decoded")
    return sample
