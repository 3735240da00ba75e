"""Interfaces between a network, the engine that runs it, and the stream of photos."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import Enum
from typing import Any, Protocol, TypeAlias

from outliers_bench.errors import BenchError
from outliers_bench.store.features import Space
from outliers_bench.types import RGB, FloatArray

Key: TypeAlias = bytes


LARGEST_SIDE = 4096  # pixels; a batch of larger images exhausts the memory of common machines


class Embedder(Protocol):
    """A function from a stream of images to a stream of vectors.

    For a given engine and batch size, the vector of an image depends on that image alone, never
    on its neighbors in the stream: a run that is interrupted and started again ends with the same
    bits.
    """

    def __call__(self, images: Iterable[tuple[Key, RGB]]) -> Iterator[tuple[Key, FloatArray]]:
        """Embed images, each with its key; the order may change.

        Parameters
        ----------
        images : iterable of (key, array of uint8, shape (image_size, image_size, 3))
            RGB, already resized.

        Returns
        -------
        iterator of (key, array of float32, shape (dim,))
        """
        ...


def check_size(image_size: int) -> None:
    """Raise `BenchError` for images that are too large for memory."""
    if image_size > LARGEST_SIDE:
        raise BenchError(f"model.image_size={image_size} is too large: at most {LARGEST_SIDE}")


class EngineKind(Enum):
    """Inference engine."""

    auto = "auto"  # TensorFlow on a GPU, OpenVINO on a CPU
    keras = "keras"
    openvino = "openvino"


class Precision(Enum):
    """Number format of the network's computation."""

    auto = "auto"  # mixed bfloat16 with engine=auto on a GPU that supports it, f32 otherwise
    f32 = "f32"
    bf16 = "bf16"
    int8 = "int8"


class Network(Protocol):
    """A network that can be built and run: a `Backbone` or a trained network."""

    @property
    def name(self) -> str:
        """Name in messages."""
        ...

    @property
    def image_size(self) -> int:
        """Side of its images in pixels."""
        ...

    def space(self) -> Space:
        """Return everything that its vectors depend on, except for the photos."""
        ...

    def build(self) -> Any:  # noqa: ANN401 - keras.Model
        """Build the whole network; see `Backbone.build`."""
        ...
