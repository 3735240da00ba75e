"""Baseline whose embedding is the thumbnail itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from outliers_bench.engines.options import Engine
from outliers_bench.engines.protocols import Embedder, Key, check_size
from outliers_bench.errors import BenchError
from outliers_bench.models.model import Extractor
from outliers_bench.types import RGB, FloatArray


@dataclass
class Pixels(Extractor):
    """RGB values of the thumbnail as the embedding, 0..1, row by row.

    References
    ----------
    Torralba, Fergus & Freeman (2008), 80 Million Tiny Images.
    """

    @property
    def dimensions(self) -> int:
        """Length of the embedding: three values per pixel."""
        return 3 * self.image_size**2

    def check(self) -> None:
        """Raise `BenchError` for an invalid image size or views of several sizes."""
        check_size(self.image_size)
        if self.image_size < 1:
            raise BenchError(f"model.image_size={self.image_size} must be 1 or more")
        self.check_tta()

    def space(self) -> dict[str, str | int | float]:
        """Return everything the embeddings depend on, except for the photos."""
        return {"architecture": "pixels", "image_size": self.image_size}

    def embedder(self, engine: Engine, cache: Path, sample: Callable[[], list[RGB]]) -> Embedder:  # noqa: ARG002 - nothing to build
        """Return the embedding function, which needs no preparation."""
        return _embed


def _embed(images: Iterable[tuple[Key, RGB]]) -> Iterator[tuple[Key, FloatArray]]:
    for key, image in images:
        yield key, image.astype(np.float32).reshape(-1) / np.float32(255)
