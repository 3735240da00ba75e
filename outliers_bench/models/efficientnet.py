"""EfficientNet B0-B7: ImageNet weights from a file need what Keras builds for its download only."""

from __future__ import annotations

from typing import Any

import numpy as np

IMAGENET_MEAN = np.array([0.485, 0.456, 0.406])
IMAGENET_STD = np.array([0.229, 0.224, 0.225])
TOLERANCE = 1e-3


def restore_imagenet_rescaling(network: Any) -> None:  # noqa: ANN401 - keras.Model
    """Make a network with ImageNet weights from a file the one that Keras' download would give.

    ``weights="imagenet"`` builds a rescaling by ``1 / sqrt(std)`` after the normalization, which
    those weights need, and ``weights=None`` does not. Dividing by ``sqrt(variance)`` and then by
    ``sqrt(std)`` is dividing by ``sqrt(variance * std)``: the rescaling goes into the variance.

    Parameters
    ----------
    network : keras.Model
        An EfficientNet built with ``weights=None`` and filled from a file. Weights of a network
        trained without ImageNet's normalization (mean 0) are left alone.

    References
    ----------
    https://github.com/tensorflow/tensorflow/issues/49930
    """
    import keras

    layer = next(la for la in network.layers if isinstance(la, keras.layers.Normalization))
    stored: dict[str, Any] = {}
    layer.save_own_variables(stored)
    mean, variance, count = (np.asarray(stored[place]) for place in ("0", "1", "2"))
    if not np.allclose(mean, IMAGENET_MEAN, atol=TOLERANCE):
        return
    if np.allclose(variance, IMAGENET_STD**3, atol=TOLERANCE):
        return  # saved from a network that this function has mended
    layer.load_own_variables({"0": mean, "1": variance * IMAGENET_STD, "2": count})
