"""The networks that are trained, from pixels to what their classifying head sees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from enum import Enum
from typing import Any

from outliers_bench.errors import BenchError
from outliers_bench.models.backbone import Backbone
from outliers_bench.models.pooling import replace_pooling
from outliers_bench.training.last_layers import last_layers

# The side at which each of the three blocks of `build_cnn_body` has something left to halve:
# 22 - 2 = 20, 10 - 2 = 8, 4 - 2 = 2, and a feature map of one position.
SMALLEST_SIDE = 22
_BLOCKS = (32, 64, 128)
CNN_CHANNELS = _BLOCKS[-1]
# Of the statistics that stand in for a batch's own outside of training. With Keras' 0.99 and fifty
# steps an epoch they would describe the untrained network for ten epochs, and so would every
# validation and embedding.
_MOMENTUM = 0.9


class Trainable(Enum):
    """Which layers of a backbone are trained; the values of `model.trainable`."""

    head_only = "head_only"
    last_layers = "last_layers"
    all = "all"


@dataclass(frozen=True)
class Body:
    """A network without its classifying head: Keras tensors of the graph under construction.

    Parameters
    ----------
    vector : Keras tensor, shape (batch, d)
        What the classifying head sees: the last feature map flattened or pooled.
    pooled : Keras tensor, shape (batch, channels)
        The global average of the last feature map, with what a backbone has after it (ConvNeXt:
        a layer normalization), which makes it the embedding of that backbone.
    """

    vector: Any
    pooled: Any


def build_cnn_body(pixels: Any) -> Body:  # noqa: ANN401 - a Keras tensor
    """Lay out the convolutional network that learns from nothing.

    Three blocks of 32, 64 and 128 channels, each a 3x3 convolution that keeps the size, batch
    normalization, a 3x3 convolution without padding and a maximum over 2x2; ReLU after each
    convolution. With 98 classes at 128x128 it has 2,746,626 parameters.

    Parameters
    ----------
    pixels : Keras tensor of float32, shape (batch, side, side, 3)
        RGB 0..255, of a side of `SMALLEST_SIDE` or more.
    """
    import keras

    x = keras.layers.Rescaling(1 / 255, name="rescale")(pixels)
    for number, channels in enumerate(_BLOCKS, start=1):
        name = f"block{number}"
        x = keras.layers.Conv2D(
            channels, 3, padding="same", activation="relu", name=f"{name}_conv1"
        )(x)
        x = keras.layers.BatchNormalization(momentum=_MOMENTUM, name=f"{name}_norm")(x)
        x = keras.layers.Conv2D(channels, 3, activation="relu", name=f"{name}_conv2")(x)
        x = keras.layers.MaxPooling2D(2, name=f"{name}_pool")(x)
    return Body(
        vector=keras.layers.Flatten(name="flatten")(x),
        pooled=keras.layers.GlobalAveragePooling2D(name="avg_pool")(x),
    )


def cnn_vector_length(side: int) -> int:
    """Length of `build_cnn_body`'s vector for images of a side."""
    for _ in _BLOCKS:
        side = (side - 2) // 2
    return side * side * CNN_CHANNELS


def build_backbone_body(
    pixels: Any,  # noqa: ANN401 - a Keras tensor
    network: Any,  # noqa: ANN401 - keras.Model
    backbone: Backbone,
    *,
    name: str | None = None,
) -> Body:
    """Put a backbone, with its preprocessing before it, into a graph, as one nested model.

    Parameters
    ----------
    pixels : Keras tensor of float32, shape (batch, image_size, image_size, 3)
        RGB 0..255.
    network : keras.Model
        `backbone.bare()`, whose layers and weights are shared, after `set_trainable`.
    backbone : Backbone
        Has the preprocessing that goes first, and the pooling that makes the vector.
    name : str or None
        What the nested model is called; None: as `network`.
    """
    import keras

    vector = replace_pooling(network, backbone.pooling, p=backbone.gem_p).output
    nested = keras.Model(network.input, [vector, network.output], name=name or network.name)
    vector, pooled = nested(backbone.preprocess(pixels))
    return Body(vector, pooled)


def set_trainable(
    network: Any,  # noqa: ANN401 - keras.Model
    trainable: Trainable,
    names: Sequence[str] | None = None,
    *,
    keras_name: str,
) -> None:
    """Say which layers of a bare network are trained; the others compute as in inference.

    A network that is not trained whole keeps its batch normalization as it is, with the scale and
    the statistics it came with, and is without dropout from here on.

    Parameters
    ----------
    network : keras.Model
        `Backbone.bare()`; changed in place.
    trainable : Trainable
        All layers, none or the named ones.
    names : sequence of str or None
        The layers of `Trainable.last_layers`; None: see `last_layers.last_layers`.
    keras_name : str
        What the network is called in keras.applications.

    Raises
    ------
    BenchError
        For the name of a layer that is not there or has nothing to train.
    """
    import keras

    named: set[str] = set()
    if trainable is Trainable.last_layers:
        named = set(last_layers(network, keras_name) if names is None else names)
        _check_names(network, named)
    for layer in network.layers:
        layer.trainable = trainable is Trainable.all or layer.name in named
        # `network(x, training=False)` would be the usual way, but Keras up to 3.15 lets the flag
        # of the model around it win: https://github.com/keras-team/keras/pull/23364
        if trainable is not Trainable.all and isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0


def _check_names(network: Any, names: set[str]) -> None:  # noqa: ANN401 - keras.Model
    import keras

    never = (keras.layers.BatchNormalization, keras.layers.Normalization)
    able = [
        layer.name for layer in network.layers if layer.weights and not isinstance(layer, never)
    ]
    for name in sorted(names.difference(able)):
        problem = (
            "has nothing to train (batch normalization stays as it is beside frozen layers)"
            if any(layer.name == name for layer in network.layers)
            else f"{network.name} has no such layer"
        )
        close = " or ".join(get_close_matches(name, able) or able[:-4:-1])
        raise BenchError(f"model.trainable_layers={name}: {problem}; did you mean {close}?")
