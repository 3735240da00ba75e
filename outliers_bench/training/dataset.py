"""Training input: images or vectors in batches, shuffled by seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from outliers_bench.data.decode import oversampled_side, resize
from outliers_bench.engines.options import Engine
from outliers_bench.engines.protocols import Embedder
from outliers_bench.engines.tensorflow import import_tensorflow
from outliers_bench.errors import BenchError
from outliers_bench.runtime.machine import cores
from outliers_bench.store.features import Space
from outliers_bench.types import RGB, FloatArray, ImageReader, ImageSet, IntArray

_PREFETCH = 2  # batches prepared ahead of the network


@dataclass(frozen=True)
class CachingReader:
    """An `ImageReader` of images that are resized to squares and may be cached in memory."""

    reader: ImageReader
    image_size: int
    cache: bool
    _cached: dict[bytes, RGB] = field(default_factory=dict)

    def read(self, name: str, digest: bytes | None = None, *, side: int | None = None) -> RGB:  # noqa: ARG002
        """Read and resize an image; `side` has no effect, so that all callers get the same one."""
        cached = None if digest is None else self._cached.get(digest)
        if cached is not None:
            return cached
        original = self.reader.read(name, digest, side=oversampled_side(self.image_size))
        image = resize(original, self.image_size)
        if self.cache and digest is not None:
            self._cached[digest] = image
        return image

    def clear(self) -> None:
        """Clear the cache and release its memory."""
        self._cached.clear()


@dataclass
class ReadabilityProbe:
    """A `Describer` with empty features, which only detects unreadable images."""

    name: str
    dimensions = None
    side = None  # chosen by the reader of the training

    def space(self) -> Space:
        """Return a feature space that all networks share."""
        return {"architecture": "readable"}

    def prepare(self, image: RGB) -> RGB:
        """Return the image unchanged."""
        return image

    def embedder(self, engine: Engine, cache: Path, sample: Callable[[], list[RGB]]) -> Embedder:  # noqa: ARG002
        """Return an embedder of empty vectors."""
        return lambda images: ((key, np.empty(0, np.float32)) for key, _ in images)


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
    """Inputs and targets in batches."""

    fetch: Callable[[IntArray], npt.NDArray[Any]]  # from rows to inputs, shape (n, ...)
    targets: FloatArray  # one-hot labels of all rows, shape (n_all, classes)
    rows: IntArray  # those to iterate over
    batch_size: int  # the last batch of an epoch may be smaller
    seed: int | None = None  # of the order, which differs in each epoch; None: that of `rows`
    epoch: int = 0  # of the next pass, from 0, which with the seed determines the order
    failure: BenchError | None = None  # ended `batches`; TensorFlow would replace it by its own

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
