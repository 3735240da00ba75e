"""Detection of unreadable images before any features are computed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from outliers_bench.engines.options import Engine
from outliers_bench.engines.protocols import Embedder
from outliers_bench.store.features import Space
from outliers_bench.types import RGB


class ReadabilityProbe:
    """A `Describer` with empty features, which only detects unreadable images.

    Parameters
    ----------
    name : str
        Name in status messages.
    """

    dimensions = None
    side = None  # chosen by the reader of the training

    def __init__(self, name: str) -> None:
        self.name = name

    def space(self) -> Space:
        """Return a feature space that all networks share."""
        return {"architecture": "readable"}

    def prepare(self, image: RGB) -> RGB:
        """Return the image unchanged."""
        return image

    def embedder(self, engine: Engine, cache: Path, sample: Callable[[], list[RGB]]) -> Embedder:  # noqa: ARG002
        """Return an embedder of empty vectors."""
        return lambda images: ((key, np.empty(0, np.float32)) for key, _ in images)
