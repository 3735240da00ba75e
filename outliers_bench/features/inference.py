"""Running a network over a stream of images, through whichever engine was asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from outliers_bench.features.engine import Engine, EngineKind
from outliers_bench.features.extractor import Embedder, Key, Space
from outliers_bench.features.tensorflow import import_tensorflow
from outliers_bench.types import RGB, FloatArray

T = TypeVar("T")
KERAS_BATCH = 32


class Network(Protocol):
    """What can be built and run: a `Backbone`, or a network that was trained."""

    @property
    def name(self) -> str:
        """What it is called in messages."""
        ...

    @property
    def image_size(self) -> int:
        """Side in pixels of its images."""
        ...

    def space(self) -> Space:
        """Everything that its vectors depend on, but the photos."""
        ...

    def build(self) -> Any:  # noqa: ANN401 - keras.Model
        """Build it whole; see `Backbone.build`."""
        ...


def network_embedder(
    backbone: Network, engine: Engine, cache: Path, sample: Callable[[], list[RGB]]
) -> Embedder:
    """Get a network ready to embed; see `Extractor.embedder`.

    Raises
    ------
    BenchError
        If the weights cannot be had, or a conversion disagrees with Keras.
    """
    automatic = engine.batch_size == "auto"
    if resolve(engine.kind) is EngineKind.openvino:
        from outliers_bench.features.openvino_engine import OpenVinoEmbedder, converted

        # One image a request, and as many requests as cores, was the fastest of all batch sizes
        # here, and the bits of a vector then cannot depend on the company it was computed in.
        batch = 1 if automatic else int(engine.batch_size)
        return OpenVinoEmbedder(converted(backbone, cache, sample), batch)
    return _keras_embedder(backbone, KERAS_BATCH if automatic else int(engine.batch_size))


def resolve(kind: EngineKind) -> EngineKind:
    """What `auto` means on this machine: keras where TensorFlow sees a GPU, openvino otherwise."""
    if kind is not EngineKind.auto:
        return kind
    # Asking TensorFlow costs its import, so it is asked only where there may be a GPU at all.
    if not any(Path(sign).exists() for sign in ("/dev/nvidia0", "/dev/dxg", "/dev/kfd")):
        return EngineKind.openvino
    found = import_tensorflow().config.list_physical_devices("GPU")
    return EngineKind.keras if found else EngineKind.openvino


def batches(
    images: Iterable[tuple[Key, RGB]], size: int
) -> Iterator[tuple[list[Key], npt.NDArray[np.uint8]]]:
    """Group images; the last group is padded with blank images, so that all shapes are equal.

    Returns
    -------
    iterator of (keys, array of uint8, shape (size, image_size, image_size, 3))
        Fewer keys than rows in a padded group.
    """
    stream = iter(images)
    while group := list(islice(stream, size)):
        keys = [key for key, _ in group]
        stack = np.zeros((size, *group[0][1].shape), dtype=np.uint8)
        for row, (_, image) in enumerate(group):
            stack[row] = image
        yield keys, stack


def _keras_embedder(backbone: Network, batch: int) -> Embedder:
    tf = import_tensorflow()
    network = backbone.build()
    forward = tf.function(lambda x: network(x, training=False))

    def embed(images: Iterable[tuple[Key, RGB]]) -> Iterator[tuple[Key, FloatArray]]:
        for keys, stack in batches(images, batch):
            vectors = forward(tf.cast(stack, tf.float32)).numpy()
            yield from zip(keys, vectors, strict=False)

    return embed
