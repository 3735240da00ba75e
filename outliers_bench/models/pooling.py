"""Pooling of the last feature map: average, maximum, generalized mean, or flattening."""

from __future__ import annotations

from enum import Enum
from typing import Any

EPSILON = 1e-6


class Pooling(Enum):
    """Pooling of the last feature map; the values of `model.pooling`."""

    avg = "avg"
    max = "max"
    gem = "gem"
    flatten = "flatten"  # for trained networks only: an embedding of 25,088 values or more


def pool(feature_map: Any, pooling: Pooling, *, p: float) -> Any:  # noqa: ANN401 - a Keras tensor
    """Pool a feature map over its positions.

    Generalized mean (GeM): ``mean(max(x, 1e-6) ** p) ** (1 / p)`` for each channel.

    Parameters
    ----------
    feature_map : Keras tensor of float32, shape (batch, height, width, dim)
        Symbolic or eager.
    pooling : Pooling
        `avg` and `max` are Keras' global pooling layers; `flatten` concatenates all positions.
    p : float
        GeM's exponent: 1 is the average of the positive part, infinity the maximum.

    Returns
    -------
    Keras tensor of float32, shape (batch, dim), or (batch, height * width * dim) for `flatten`

    References
    ----------
    Radenovic, Tolias & Chum (2018), Fine-tuning CNN Image Retrieval with No Human Annotation.
    """
    import keras

    if pooling is Pooling.avg:
        return keras.layers.GlobalAveragePooling2D(name="avg_pool")(feature_map)
    if pooling is Pooling.max:
        return keras.layers.GlobalMaxPooling2D(name="max_pool")(feature_map)
    if pooling is Pooling.flatten:
        return keras.layers.Flatten(name="flatten")(feature_map)
    positive = keras.ops.maximum(feature_map, EPSILON)
    # Divided by the largest value first, because x ** p overflows float32 at p of about 20.
    largest = keras.ops.max(positive, axis=(1, 2), keepdims=True)
    mean = keras.ops.mean(keras.ops.power(positive / largest, p), axis=(1, 2))
    return keras.ops.power(mean, 1 / p) * keras.ops.max(positive, axis=(1, 2))


def replace_pooling(network: Any, pooling: Pooling, *, p: float) -> Any:  # noqa: ANN401 - a Keras model
    """Replace the global average pooling at the end of a network, whose layers are shared.

    The pooling may be followed by a layer or two, as in ConvNeXt. These keep their position and
    weights. With `flatten` they come before the pooling and get the feature map, as in Keras'
    network without its top.
    """
    import keras

    if pooling is Pooling.avg:
        return network
    layers = network.layers
    # The last one, because squeeze-and-excite blocks start with global average pooling too.
    last = max(
        at
        for at, layer in enumerate(layers)
        if isinstance(layer, keras.layers.GlobalAveragePooling2D)
    )
    flatten = pooling is Pooling.flatten
    outputs = layers[last].input if flatten else pool(layers[last].input, pooling, p=p)
    for layer in layers[last + 1 :]:
        outputs = layer(outputs)
    if flatten:
        outputs = pool(outputs, pooling, p=p)
    return keras.Model(network.input, outputs, name=network.name)
