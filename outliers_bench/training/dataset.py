"""Training input: images or vectors in batches, shuffled by seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt

from outliers_bench.engines.tensorflow import import_tensorflow
from outliers_bench.errors import BenchError
from outliers_bench.runtime.machine import cores
from outliers_bench.types import RGB, FloatArray, ImageReader, ImageSet, IntArray

_PREFETCH = 2  # batches prepared ahead of the network


class CachingReader:
    """An `ImageReader` that prepares images and caches them in memory.

    Parameters
    ----------
    reader : ImageReader
        The reader of the original images.
    prepare : callable
        Function from a decoded image to a prepared one.
    cache : bool
        Whether to cache prepared images, or to read them again each time.
    side : int or None
        Minimum side in pixels that `prepare` needs. It replaces the caller's, so that a cached
        image is the same for all callers.
    """

    def __init__(
        self,
        reader: ImageReader,
        prepare: Callable[[RGB], RGB],
        *,
        cache: bool,
        side: int | None = None,
    ) -> None:
        self._reader = reader
        self._prepare = prepare
        self._cache = cache
        self._side = side
        self._cached: dict[bytes, RGB] = {}

    def read(self, name: str, digest: bytes | None = None, *, side: int | None = None) -> RGB:  # noqa: ARG002
        """Read and prepare an image; see `ImageReader.read`."""
        cached = None if digest is None else self._cached.get(digest)
        if cached is not None:
            return cached
        image = self._prepare(self._reader.read(name, digest, side=self._side))
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
    weights : array of float32, shape (n_all,), or None
        Sample weights of all rows; None for equal weights.
    seed : int or None
        Seed of the order, which differs in each epoch; None for the order of `rows`.
    """

    def __init__(
        self,
        fetch: Callable[[IntArray], npt.NDArray[Any]],
        targets: FloatArray,
        rows: IntArray,
        *,
        batch_size: int,
        weights: FloatArray | None = None,
        seed: int | None = None,
    ) -> None:
        self._fetch = fetch
        self._targets = targets
        self._rows = rows
        self._batch = min(batch_size, len(rows))
        self._weights = np.ones(len(targets), np.float32) if weights is None else weights
        self._seed = seed
        self.failure: BenchError | None = None
        """The error that ended `batches`, which TensorFlow would replace by its own."""
        self.epoch = 0
        """Epoch of the next pass, from 0, which with the seed determines the order."""

    @property
    def steps(self) -> int:
        """Batches per epoch."""
        return -(-len(self._rows) // self._batch)

    def batches(self) -> Iterator[tuple[npt.NDArray[Any], FloatArray, FloatArray]]:
        """Yield inputs, targets and weights, batch by batch, for one epoch."""
        order = self._rows
        if self._seed is not None:
            order = np.random.default_rng([self._seed, self.epoch]).permutation(order)
        for start in range(0, len(order), self._batch):
            rows = order[start : start + self._batch]
            try:
                inputs = self._fetch(rows)
            except BenchError as error:
                self.failure = error
                raise
            yield inputs, self._targets[rows], self._weights[rows]

    def dataset(self) -> Any:  # noqa: ANN401 - tf.data.Dataset
        """Return the batches as a `tf.data.Dataset`; each iteration over it is a new pass."""
        tf = import_tensorflow()
        inputs, targets, weights = next(self.batches())
        signature = tuple(
            tf.TensorSpec((None, *array.shape[1:]), array.dtype)
            for array in (inputs, targets, weights)
        )
        data = tf.data.Dataset.from_generator(self.batches, output_signature=signature)
        data = data.map(lambda x, y, weight: (tf.cast(x, tf.float32), y, weight))
        return data.apply(tf.data.experimental.assert_cardinality(self.steps)).prefetch(_PREFETCH)
