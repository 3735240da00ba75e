"""Training input: images or vectors in batches, shuffled by seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from outliers_bench.data.decode import oversampled_side, resize
from outliers_bench.engines.tensorflow import import_tensorflow
from outliers_bench.errors import BenchError
from outliers_bench.runtime.machine import cores
from outliers_bench.types import RGB, FloatArray, ImageReader, ImageSet, IntArray

_PREFETCH = 2  # batches prepared ahead of the network


class CachingReader:
    """An `ImageReader` of resized images, which it may cache in memory.

    Parameters
    ----------
    reader : ImageReader
        The reader of the original images.
    image_size : int
        Side in pixels of the square that images are resized to.
    cache : bool
        Whether to cache resized images, or to read them again each time.
    """

    def __init__(self, reader: ImageReader, image_size: int, *, cache: bool) -> None:
        self._reader = reader
        self._image_size = image_size
        self._cache = cache
        self._cached: dict[bytes, RGB] = {}

    def read(self, name: str, digest: bytes | None = None, *, side: int | None = None) -> RGB:  # noqa: ARG002
        """Read and resize an image; `side` has no effect, so that all callers get the same one."""
        cached = None if digest is None else self._cached.get(digest)
        if cached is not None:
            return cached
        original = self._reader.read(name, digest, side=oversampled_side(self._image_size))
        image = resize(original, self._image_size)
        if self._cache and digest is not None:
            self._cached[digest] = image
        return image

    def clear(self) -> None:
        """Clear the cache and release its memory."""
        self._cached.clear()


def image_fetcher(images: ImageSet) -> Callable[[IntArray], RGB]:
    """Return a function from rows to a batch of images, shape (n, side, side, 3).

    Images are read in threads.
    """
    pool = ThreadPoolExecutor(cores(), thread_name_prefix="batch")

    def fetch(rows: IntArray) -> RGB:
        return np.stack(list(pool.map(images.read, rows.tolist())))

    return fetch


@dataclass
class Examples:
    """Inputs and targets in batches.

    Parameters
    ----------
    fetch : callable
        Function from rows to inputs, shape (n, ...).
    targets : array of float32, shape (n_all, classes)
        One-hot labels of all rows.
    rows : array of int64
        The rows to iterate over.
    batch_size : int
        Rows per batch; the last batch of an epoch may be smaller.
    seed : int or None
        Seed of the order, which differs in each epoch; None for the order of `rows`.
    epoch : int
        Epoch of the next pass, from 0, which with the seed determines the order.
    failure : BenchError or None
        The error that ended `batches`, which TensorFlow would replace by its own.
    """

    fetch: Callable[[IntArray], npt.NDArray[Any]]
    targets: FloatArray
    rows: IntArray
    batch_size: int
    seed: int | None = None
    epoch: int = 0
    failure: BenchError | None = None

    @property
    def steps(self) -> int:
        """Batches per epoch."""
        return -(-len(self.rows) // self.batch_size)

    def batches(self) -> Iterator[tuple[npt.NDArray[Any], FloatArray]]:
        """Yield inputs and targets, batch by batch, for one epoch."""
        order = self.rows
        if self.seed is not None:
            order = np.random.default_rng([self.seed, self.epoch]).permutation(order)
        for start in range(0, len(order), self.batch_size):
            rows = order[start : start + self.batch_size]
            try:
                inputs = self.fetch(rows)
            except BenchError as error:
                self.failure = error
                raise
            yield inputs, self.targets[rows]

    def dataset(self) -> Any:  # noqa: ANN401 - tf.data.Dataset
        """Return the batches as a `tf.data.Dataset`; each iteration over it is a new pass."""
        tf = import_tensorflow()
        signature = tuple(
            tf.TensorSpec((None, *array.shape[1:]), array.dtype) for array in next(self.batches())
        )
        data = tf.data.Dataset.from_generator(self.batches, output_signature=signature)
        data = data.map(lambda inputs, targets: (tf.cast(inputs, tf.float32), targets))
        return data.apply(tf.data.experimental.assert_cardinality(self.steps)).prefetch(_PREFETCH)
