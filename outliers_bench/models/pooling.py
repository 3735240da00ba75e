"""From the last feature map to one vector: average, maximum, generalized mean, or all of it."""

from __future__ import annotations

from enum import Enum
from typing import Any

EPSILON = 1e-6


class Pooling(Enum):
    """How the last feature map becomes one vector; the values of `model.pooling`."""

    avg = "avg"
    max = "max"
    gem = "gem"
    flatten = "flatten"  # of networks that are trained: an embedding of 25,088 numbers or more


def pool(feature_map: Any, pooling: Pooling, *, p: float) -> Any:  # noqa: ANN401 - a Keras tensor
    """Pool a feature map over its positions.

    Generalized mean (GeM): ``mean(max(x, 1e-6) ** p) ** (1 / p)`` for each channel.

    Parameters
    ----------
    feature_map : Keras tensor of float32, shape (batch, height, width, dim)
        Symbolic or eager.
    pooling : Pooling
        `avg` and `max` are Keras' own global poolings, `flatten` every position side by side.
    p : float
        GeM's exponent: 1 is the average of what is positive, infinity the maximum.

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
    # Divided by the largest first: x ** p itself leaves float32 at p of about 20.
    largest = keras.ops.max(positive, axis=(1, 2), keepdims=True)
    mean = keras.ops.mean(keras.ops.power(positive / largest, p), axis=(1, 2))
    return keras.ops.power(mean, 1 / p) * keras.ops.max(positive, axis=(1, 2))


def replace_pooling(network: Any, pooling: Pooling, *, p: float) -> Any:  # noqa: ANN401 - a Keras model
    """Exchange the global average at the end of a network for another pooling.

    Parameters
    ----------
    network : keras.Model
        Ends in a global average pooling and, as ConvNeXt does, perhaps a layer or two after it,
        which keep their place and their weights. Before `flatten` they see the feature map: what
        Keras calls the network without its top.
    pooling : Pooling
        What takes its place.
    p : float
        GeM's exponent.

    Returns
    -------
    keras.Model
        Shares its layers and weights with `network`.
    """
    import keras

    if pooling is Pooling.avg:
        return network
    layers = network.layers
    # The last one: squeeze-and-excite blocks further in begin with a global average too.
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
