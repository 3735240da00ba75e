"""Fix for EfficientNet B0-B7 with ImageNet weights from a file instead of Keras' download."""

from __future__ import annotations

from typing import Any

import numpy as np

IMAGENET_MEAN = np.array([0.485, 0.456, 0.406])
IMAGENET_STD = np.array([0.229, 0.224, 0.225])
TOLERANCE = 1e-3


def restore_imagenet_rescaling(network: Any) -> None:  # noqa: ANN401 - keras.Model
    """Fold the rescaling that ImageNet weights need into the normalization layer.

    ``weights="imagenet"`` adds a rescaling by ``1 / sqrt(std)`` after the normalization, which
    those weights need; ``weights=None`` does not. Dividing by ``sqrt(variance)`` and then by
    ``sqrt(std)`` is dividing by ``sqrt(variance * std)``, so the rescaling goes into the variance.

    Parameters
    ----------
    network : keras.Model
        An EfficientNet built with ``weights=None`` and loaded from a file. It is not changed if it
        was trained without ImageNet's normalization (mean 0).

    References
    ----------
    https://github.com/tensorflow/tensorflow/issues/49930
    """
    import keras

    layer = next(la for la in network.layers if isinstance(la, keras.layers.Normalization))
    stored: dict[str, Any] = {}
    layer.save_own_variables(stored)
    mean, variance, count = (np.asarray(stored[index]) for index in ("0", "1", "2"))
    if not np.allclose(mean, IMAGENET_MEAN, atol=TOLERANCE):
        return
    if np.allclose(variance, IMAGENET_STD**3, atol=TOLERANCE):
        return  # saved from a network that already has the rescaling
    layer.load_own_variables({"0": mean, "1": variance * IMAGENET_STD, "2": count})
