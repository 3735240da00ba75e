"""Output of a frozen backbone as stored features, and the head applied to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from outliers_bench.data.decode import resize
from outliers_bench.engines.options import Engine
from outliers_bench.engines.protocols import Embedder
from outliers_bench.features.extract import Features
from outliers_bench.models.backbone import Backbone
from outliers_bench.models.pooling import replace_pooling
from outliers_bench.store.features import Space
from outliers_bench.training.base import Layer
from outliers_bench.types import RGB, FloatArray, ImageSet

_BLOCK = 256  # images whose features are in memory at the same time


class FrozenBackbone:
    """A `Describer` of the head's input: the backbone's flattened or pooled feature map.

    Pooled features are those of the plain backbone and are shared with its runs.

    Parameters
    ----------
    backbone : Backbone
        The backbone, with the pooling of the head.
    """

    dimensions = None  # the size of a flattened feature map is unknown before building
    always_f32 = True  # the head is trained on float32 and saved with a float32 backbone

    def __init__(self, backbone: Backbone) -> None:
        self.name = backbone.name
        self.image_size = backbone.image_size
        self._backbone = backbone

    @property
    def side(self) -> int | None:
        """Minimum side in pixels of a decoded photo, as for the backbone."""
        return self._backbone.side

    def space(self) -> Space:
        """Return the backbone's feature space; see `Backbone.space`."""
        return self._backbone.space()

    def prepare(self, image: RGB) -> RGB:
        """Resize a decoded image to a square."""
        return resize(image, self.image_size)

    def build(self) -> Any:  # noqa: ANN401 - keras.Model
        """Build the network from pixels to the head's input; see `Backbone.build`."""
        import keras

        base, side = self._backbone, self.image_size
        network = replace_pooling(base.bare(), base.pooling, p=base.gem_p)
        pixels = keras.Input((side, side, 3), dtype="float32", name="pixels")
        return keras.Model(pixels, network(base.preprocess(pixels)), name=self.name)

    def embedder(self, engine: Engine, cache: Path, sample: Callable[[], list[RGB]]) -> Embedder:
        """Build the network and load it into the engine; see `Extractor.embedder`."""
        from outliers_bench.engines.embed import network_embedder

        return network_embedder(self, engine, cache, sample)


def load_matrix(features: Features, images: ImageSet) -> FloatArray:
    """Load stored features as a matrix, shape (n, d), rows in the order of `images`.

    Parameters
    ----------
    features : Features
        The features of a `FrozenBackbone`.
    images : ImageSet
        At least one image.
    """
    matrix: FloatArray | None = None
    for row, (_, vector) in enumerate(iter_features(features, images)):
        if matrix is None:
            matrix = np.empty((len(images), vector.size), np.float32)
        matrix[row] = vector
    if matrix is None:
        raise ValueError("there are no images")
    return matrix


def iter_features(features: Features, images: ImageSet) -> Iterator[tuple[bytes, FloatArray]]:
    """Yield digest and stored feature, shape (d,), of each image; loads block by block."""
    for block in _blocks(images):
        vectors = features.get(block)
        yield from ((digest, vectors[digest]) for digest in block.digests)


def apply_head(
    features: Features,
    images: ImageSet,
    head: Any,  # noqa: ANN401 - keras.Model
    layer: Layer,
) -> Iterator[tuple[bytes, FloatArray]]:
    """Yield digest and output of a layer of the head, shape (d,), for each image.

    Parameters
    ----------
    features : Features
        The head's input.
    images : ImageSet
        The images to embed.
    head : keras.Model
        `InferenceNetwork.head`.
    layer : Layer
        `penultimate` or `logits`.
    """
    index = (Layer.penultimate, Layer.logits).index(layer)
    for block in _blocks(images):
        inputs = load_matrix(features, block)
        # Pad to a constant batch size, because the last bits of a vector depend on it.
        inputs = np.pad(inputs, ((0, _BLOCK - len(inputs)), (0, 0)))
        outputs = np.asarray(head(inputs, training=False)[index])
        yield from zip(block.digests, outputs[: len(block)], strict=True)


def _blocks(images: ImageSet) -> Iterator[ImageSet]:
    for start in range(0, len(images), _BLOCK):
        yield images.take(range(start, min(start + _BLOCK, len(images))))
