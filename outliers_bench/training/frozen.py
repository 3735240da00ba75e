"""What a frozen backbone gives for an image, as features that can be stored."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from outliers_bench.data.decode import resize
from outliers_bench.features.backbone import Backbone
from outliers_bench.features.engine import Engine
from outliers_bench.features.extractor import Embedder, Space
from outliers_bench.features.pooling import with_pooling
from outliers_bench.types import RGB


class FrozenBody:
    """A `Describer`: photos to what the head sees, flattened or pooled.

    Pooled, its features are those of the plain backbone and shared with its runs.

    Parameters
    ----------
    backbone : Backbone
        With its pooling.
    """

    dimensions = None  # only building tells how many positions a flattened map has

    def __init__(self, backbone: Backbone) -> None:
        self.name = backbone.name
        self.image_size = backbone.image_size
        self._backbone = backbone

    def space(self) -> Space:
        """See `Backbone.space`."""
        return self._backbone.space()

    def prepare(self, image: RGB) -> RGB:
        """Squeeze a decoded image."""
        return resize(image, self.image_size)

    def build(self) -> Any:  # noqa: ANN401 - keras.Model
        """Build the network from pixels to what the head sees; see `Backbone.build`."""
        import keras

        base, side = self._backbone, self.image_size
        network = with_pooling(base.bare(), base.pooling, p=base.gem_p)
        pixels = keras.Input((side, side, 3), dtype="float32", name="pixels")
        return keras.Model(pixels, network(base.preprocess(pixels)), name=self.name)

    def embedder(self, engine: Engine, cache: Path, sample: Callable[[], list[RGB]]) -> Embedder:
        """See `Extractor.embedder`."""
        from outliers_bench.features.inference import network_embedder

        return network_embedder(self, engine, cache, sample)
