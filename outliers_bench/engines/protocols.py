"""Interfaces between a network, the engine that runs it, and the stream of photos."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import Enum
from typing import Any, Protocol, TypeAlias

from outliers_bench.errors import BenchError
from outliers_bench.store.features import Space
from outliers_bench.types import RGB, FloatArray

Key: TypeAlias = bytes


LARGEST_SIDE = 4096  # pixels; a batch of larger squares fills the memory of common machines


class Embedder(Protocol):
    """A function from a stream of images to a stream of vectors.

    With one engine and batch size, the vector of an image depends on that image alone, never on
    its neighbors in the stream: a run that was broken off and started again ends with the same
    bits.
    """

    def __call__(self, images: Iterable[tuple[Key, RGB]]) -> Iterator[tuple[Key, FloatArray]]:
        """Embed images, keeping each one's key; the order may change.

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
    """Raise `BenchError` for images that no memory holds."""
    if image_size > LARGEST_SIDE:
        raise BenchError(f"model.image_size={image_size} is too large: at most {LARGEST_SIDE}")


class EngineKind(Enum):
    """Who runs the network."""

    auto = "auto"  # TensorFlow on a GPU, OpenVINO on a CPU
    keras = "keras"
    openvino = "openvino"


class Precision(Enum):
    """Which numbers the network computes with."""

    auto = "auto"  # mixed bfloat16 with engine=auto on a GPU that has it, f32 otherwise
    f32 = "f32"
    bf16 = "bf16"
    int8 = "int8"


class Network(Protocol):
    """What can be built and run: a `Backbone`, or a network that was trained.

    One whose attribute `always_f32` is true is computed in float32, whatever is asked for.
    """

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
