"""What turns an image into a vector: the protocol behind most of the `model=` options."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol, TypeAlias

from outliers_bench.data.decode import resize
from outliers_bench.errors import BenchError
from outliers_bench.features.engine import Engine
from outliers_bench.types import RGB, FloatArray

Key: TypeAlias = bytes
LARGEST_SIDE = 4096  # pixels; a batch of larger squares fills the memory of common machines


class Embedder(Protocol):
    """A function from a stream of images to a stream of vectors.

    With one engine and batch size, the vector of an image depends on that image alone, never on
    its neighbours in the stream: a run that was broken off and started again ends with the same
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


Space: TypeAlias = dict[str, str | int | float]


@dataclass
class Model:
    """Base of the `model=` options.

    Parameters
    ----------
    name : str
        What the model is called in tables.
    """

    name: str
    embeds: ClassVar[bool] = True  # so that PCA, index and re-ranking have something to work on

    @property
    def variant(self) -> str:
        """What tells two uses of one model apart in tables."""
        raise NotImplementedError

    def check(self) -> None:
        """Raise `BenchError` for options that cannot work; takes no more than milliseconds."""
        raise NotImplementedError

    def space(self) -> Space:
        """Everything about the model that the numbers depend on: the key of the feature store."""
        raise NotImplementedError


@dataclass
class Extractor(Model):
    """Base of the `model=` options that embed each image on its own.

    Parameters
    ----------
    image_size : int
        Side in pixels of the square that photos are squeezed to.
    """

    image_size: int

    @property
    def dimensions(self) -> int:
        """Length of the vectors, known without building anything."""
        raise NotImplementedError

    @property
    def variant(self) -> str:
        """The image size, and what is unusual."""
        return f"{self.image_size}px"

    def prepare(self, image: RGB) -> RGB:
        """What is made of a decoded image before it is embedded; called in several threads."""
        return resize(image, self.image_size)

    def embedder(self, engine: Engine, cache: Path, sample: Callable[[], list[RGB]]) -> Embedder:
        """Get ready to embed. The expensive part: builds, loads, converts.

        Parameters
        ----------
        engine : Engine
            What computes.
        cache : Path
            Directory that keeps converted models between runs.
        sample : callable
            Gives a few images, resized, on which a fresh conversion is checked.
        """
        raise NotImplementedError


def check_size(image_size: int) -> None:
    """Raise `BenchError` for images that no memory holds."""
    if image_size > LARGEST_SIDE:
        raise BenchError(f"model.image_size={image_size} is too large: at most {LARGEST_SIDE}")
