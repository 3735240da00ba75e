"""Finding out which images can be read, where nothing has to be computed of them yet."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from outliers_bench.engines.options import Engine
from outliers_bench.engines.protocols import Embedder
from outliers_bench.store.features import Space
from outliers_bench.types import RGB


class ReadabilityProbe:
    """A `Describer` that only finds out which images can be read: features without numbers.

    Parameters
    ----------
    name : str
        What it is called while it is at work.
    """

    dimensions = None
    side = None  # whoever reads decides: a training's own reader knows what it needs

    def __init__(self, name: str) -> None:
        self.name = name

    def space(self) -> Space:
        """The same for all networks."""
        return {"architecture": "readable"}

    def prepare(self, image: RGB) -> RGB:
        """Nothing is made of an image."""
        return image

    def embedder(self, engine: Engine, cache: Path, sample: Callable[[], list[RGB]]) -> Embedder:  # noqa: ARG002
        """Get ready, which takes nothing."""
        return lambda images: ((key, np.empty(0, np.float32)) for key, _ in images)
