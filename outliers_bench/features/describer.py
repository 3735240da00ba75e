"""What the feature store is filled by: a network, pixels, a detector of keypoints."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from outliers_bench.features.engine import Engine
from outliers_bench.features.extractor import Embedder, Space
from outliers_bench.types import RGB


class Describer(Protocol):
    """What turns images into features that can be stored: an `Extractor`, or a detector."""

    @property
    def name(self) -> str:
        """What it is called while it is loading."""
        ...

    @property
    def dimensions(self) -> int | None:
        """Length of the vectors; None where each image has its own."""
        ...

    @property
    def side(self) -> int | None:
        """Pixels that a decoded image's sides must at least have; None: all that it has."""
        ...

    def space(self) -> Space:
        """Everything that the numbers depend on."""
        ...

    def prepare(self, image: RGB) -> RGB:
        """What is made of a decoded image before it is described; called in several threads."""
        ...

    def embedder(self, engine: Engine, cache: Path, sample: Callable[[], list[RGB]]) -> Embedder:
        """Get ready; see `Extractor.embedder`."""
        ...
