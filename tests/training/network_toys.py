"""Inputs and a small network for the tests of network bodies."""

from __future__ import annotations

from typing import Any

import numpy as np

SIDE = 32
PHOTOS = np.random.default_rng(0).uniform(0, 255, (4, SIDE, SIDE, 3)).astype(np.float32)


def pixels_of(side: int) -> Any:
    import keras

    return keras.Input((side, side, 3), dtype="float32", name="pixels")


def toy_network() -> Any:
    """Return a network with batch normalization, dropout and a normalization after pooling."""
    import keras

    keras.utils.set_random_seed(0)
    images = keras.Input((SIDE, SIDE, 3))
    x = keras.layers.Conv2D(4, 3, strides=8, name="first")(images)
    x = keras.layers.BatchNormalization(name="norm")(x)
    x = keras.layers.Dropout(0.5, noise_shape=(None, 1, 1, 1), name="drop")(x)
    x = keras.layers.Conv2D(5, 3, name="second")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(images, keras.layers.LayerNormalization(name="after")(x), name="toy")
