"""What a training sees: images or vectors in batches, in an order that the seed decides."""

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

_PREFETCH = 2  # batches that may wait for the network


class CachingReader:
    """An `ImageReader` that squeezes what it reads to a square and keeps it in memory.

    Parameters
    ----------
    reader : ImageReader
        Where the images are read.
    prepare : callable
        What is made of each.
    keep : bool
        Whether they are kept, or read again each time.
    side : int or None
        Pixels a side that `prepare` needs, whatever the one who reads asks for: what is kept is
        the same for all.
    """

    def __init__(
        self,
        reader: ImageReader,
        prepare: Callable[[RGB], RGB],
        *,
        keep: bool,
        side: int | None = None,
    ) -> None:
        self._reader = reader
        self._prepare = prepare
        self._keep = keep
        self._side = side
        self._kept: dict[bytes, RGB] = {}

    def read(self, name: str, digest: bytes | None = None, *, side: int | None = None) -> RGB:  # noqa: ARG002
        """One image, prepared; see `ImageReader.read`."""
        found = None if digest is None else self._kept.get(digest)
        if found is not None:
            return found
        image = self._prepare(self._reader.read(name, digest, side=self._side))
        if self._keep and digest is not None:
            self._kept[digest] = image
        return image

    def forget(self) -> None:
        """Give the memory back."""
        self._kept.clear()


def image_fetcher(images: ImageSet) -> Callable[[IntArray], RGB]:
    """A function from rows to a batch of images, shape (n, side, side, 3), read in threads."""
    pool = ThreadPoolExecutor(cores(), thread_name_prefix="batch")

    def fetch(rows: IntArray) -> RGB:
        return np.stack(list(pool.map(images.read, rows.tolist())))

    return fetch


class Examples:
    """Inputs and targets in batches.

    Parameters
    ----------
    fetch : callable
        From rows to inputs, shape (n, ...).
    targets : array of float32, shape (n_all, classes)
        One-hot, for every row.
    rows : array of int64
        Which rows are seen.
    batch_size : int
        Rows at once; the last batch of an epoch has what is left.
    weights : array of float32, shape (n_all,), or None
        How much each row counts.
    seed : int or None
        Decides the order, anew for each epoch; None: as they stand.
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
        """What kept a batch from being made; TensorFlow would tell it as its own."""
        self.epoch = 0
        """Which epoch the next pass is, from 0: an interrupted training finds its order again."""

    @property
    def steps(self) -> int:
        """Batches in an epoch."""
        return -(-len(self._rows) // self._batch)

    def batches(self) -> Iterator[tuple[npt.NDArray[Any], FloatArray, FloatArray]]:
        """Inputs, targets and weights of one epoch."""
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
        """The same as a `tf.data.Dataset` that begins a new pass each time it is asked."""
        tf = import_tensorflow()
        inputs, targets, weights = next(self.batches())
        signature = tuple(
            tf.TensorSpec((None, *array.shape[1:]), array.dtype)
            for array in (inputs, targets, weights)
        )
        data = tf.data.Dataset.from_generator(self.batches, output_signature=signature)
        data = data.map(lambda x, y, weight: (tf.cast(x, tf.float32), y, weight))
        return data.apply(tf.data.experimental.assert_cardinality(self.steps)).prefetch(_PREFETCH)
