"""Bodies of the networks that are trained: from pixels to the input of the classification head."""

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

# The smallest side that the three blocks of `cnn_scratch` reduce to a feature map of one position:
# 22 - 2 = 20, 10 - 2 = 8, 4 - 2 = 2.
MIN_SIDE = 22
_BLOCKS = (32, 64, 128)
CNN_CHANNELS = _BLOCKS[-1]
BACKBONE = "backbone"  # name of the layer
# Momentum of batch normalization. With Keras' default of 0.99 and fifty steps per epoch, the moving
# averages, which validation and embedding use, describe the untrained network for ten epochs.
_MOMENTUM = 0.9


class Trainable(Enum):
    """The layers of a backbone that are trained; the values of `model.trainable`."""

    head_only = "head_only"
    last_layers = "last_layers"
    all = "all"


@dataclass(frozen=True)
class Body:
    """A network without its classification head, as Keras tensors."""

    # Input of the head, shape (batch, d): the last feature map, flattened or pooled.
    vector: Any
    # Shape (batch, channels): the global average of the last feature map, followed by the layers
    # that the backbone has after it (ConvNeXt: a layer normalization).
    pooled: Any


def build_cnn_body(pixels: Any) -> Body:  # noqa: ANN401 - a Keras tensor
    """Build the convolutional network of `model=cnn_scratch`.

    It has three blocks of 32, 64 and 128 channels, each with a 3x3 convolution with padding, batch
    normalization, a 3x3 convolution without padding and 2x2 max pooling; ReLU follows each
    convolution. With 98 classes at 128x128 it has 2,746,626 parameters.

    Parameters
    ----------
    pixels : Keras tensor of float32, shape (batch, side, side, 3)
        RGB 0..255, with a side of at least `MIN_SIDE`.
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
    """Return the length of the vector of `build_cnn_body` for a given image side."""
    for _ in _BLOCKS:
        side = (side - 2) // 2
    return side * side * CNN_CHANNELS


def build_backbone_body(pixels: Any, network: Any, backbone: Backbone) -> Body:  # noqa: ANN401
    """Apply preprocessing and a backbone, as one nested model, to input pixels.

    Parameters
    ----------
    pixels : Keras tensor of float32, shape (batch, image_size, image_size, 3)
        RGB 0..255.
    network : keras.Model
        `backbone.bare()` after `set_trainable`; its layers and weights are shared.
    backbone : Backbone
        Has the preprocessing and the pooling of the vector.
    """
    import keras

    vector = replace_pooling(network, backbone.pooling, p=backbone.gem_p).output
    nested = keras.Model(network.input, [vector, network.output], name=BACKBONE)
    vector, pooled = nested(backbone.preprocess(pixels))
    return Body(vector, pooled)


def set_trainable(
    network: Any,  # noqa: ANN401 - keras.Model
    trainable: Trainable,
    names: Sequence[str] | None = None,
    *,
    keras_name: str,
) -> None:
    """Select the layers of a network from `Backbone.bare()` to train, in place.

    The others run in inference mode. Unless all layers are trained, batch normalization keeps its
    scale and statistics, and dropout is disabled permanently.

    Parameters
    ----------
    names : sequence of str or None
        The layers of `Trainable.last_layers`; None for those of `last_layers.last_layers`.
    keras_name : str
        Name of the network in keras.applications.

    Raises
    ------
    BenchError
        If a named layer does not exist or has no trainable weights.
    """
    import keras

    named: set[str] = set()
    if trainable is Trainable.last_layers:
        named = set(last_layers(network, keras_name) if names is None else names)
        _check_names(network, named)
    for layer in network.layers:
        layer.trainable = trainable is Trainable.all or layer.name in named
        # `network(x, training=False)` would be the usual way, but in Keras up to 3.15 the flag of
        # the outer model overrides it: https://github.com/keras-team/keras/pull/23364
        if trainable is not Trainable.all and isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0


def _check_names(network: Any, names: set[str]) -> None:  # noqa: ANN401 - keras.Model
    import keras

    frozen = (keras.layers.BatchNormalization, keras.layers.Normalization)
    allowed = [
        layer.name for layer in network.layers if layer.weights and not isinstance(layer, frozen)
    ]
    for name in sorted(names.difference(allowed)):
        problem = (
            "has nothing to train (batch normalization stays frozen with the other layers)"
            if any(layer.name == name for layer in network.layers)
            else f"{network.name} has no such layer"
        )
        close = " or ".join(get_close_matches(name, allowed) or allowed[:-4:-1])
        raise BenchError(f"model.trainable_layers={name}: {problem}; did you mean {close}?")
