"""ArcFace: its loss, and the cosine layer that the loss needs. Importing this imports Keras."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from outliers_bench.types import FloatArray

_MIN_NORM = 1e-12  # as in Keras' UnitNormalization


class ArcFace(keras.losses.Loss):  # type: ignore[misc]
    """Cross-entropy of scaled cosines, with a margin added to the angle of the target class.

    Parameters
    ----------
    margin : float
        See `add_angular_margin`.
    scale : float
        Factor of the cosines.
    smoothing : float
        Label smoothing.
    """

    def __init__(self, margin: float, scale: float, smoothing: float) -> None:
        super().__init__(name="arcface")
        self.margin, self.scale, self.smoothing = margin, scale, smoothing

    def call(self, y_true: Any, y_pred: Any) -> Any:  # noqa: ANN401 - tensors
        """Return the loss of one-hot labels and cosines, each of shape (batch, classes)."""
        return keras.losses.categorical_crossentropy(
            y_true,
            self.scale * add_angular_margin(y_true, y_pred, self.margin),
            from_logits=True,
            label_smoothing=self.smoothing,
        )


def add_angular_margin(targets: Any, cosines: Any, margin: float) -> Any:  # noqa: ANN401 - tensors
    """Add an angular margin to the angle of the target class.

    The target's cos(t) becomes cos(t + margin); the other cosines are unchanged. If t + margin
    exceeds pi, where the cosine increases again, it becomes cos(t) - margin * sin(margin). The
    gradients are finite, also at -1 and 1.

    Parameters
    ----------
    targets : tensor of float32, shape (batch, classes)
        One-hot labels.
    cosines : tensor of float32, shape (batch, classes)
        From -1 to 1; may exceed the range slightly by rounding.
    margin : float
        Radians, from 0 to pi / 2.

    References
    ----------
    J. Deng, J. Guo, N. Xue, S. Zafeiriou, "ArcFace: additive angular margin loss for deep face
    recognition", CVPR 2019. Beyond pi as in the authors' code with `easy_margin=False`.
    """
    squared = (1 - cosines) * (1 + cosines)
    # The gradient of sqrt is infinite at 0 and becomes NaN even in the branch `where` discards.
    positive = squared > 0
    sines = ops.where(positive, ops.sqrt(ops.where(positive, squared, 1.0)), 0.0)
    rotated = cosines * math.cos(margin) - sines * math.sin(margin)
    beyond_pi = cosines - margin * math.sin(margin)
    penalized = ops.where(cosines > -math.cos(margin), rotated, beyond_pi)
    return ops.where(targets > 0.5, penalized, cosines)


class Cosines(keras.layers.Layer):  # type: ignore[misc]
    """The last layer for ArcFace: cosine of its input with one direction per class.

    It maps any float type, shape (batch, d), to float32, shape (batch, classes), regardless of the
    network's precision. Its only weight `kernel`, shape (d, classes), has the directions as columns
    of any norm. All-zero rows have cosine 0 and gradient 0.
    """

    def __init__(
        self,
        classes: int,
        *,
        initializer: Any = "glorot_uniform",  # noqa: ANN401 - str or keras.Initializer
        name: str = "cosines",
    ) -> None:
        super().__init__(name=name, dtype="float32")
        self.classes, self.initializer = classes, initializer

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the directions."""
        self.kernel = self.add_weight(
            shape=(input_shape[-1], self.classes), initializer=self.initializer, name="kernel"
        )

    def call(self, vectors: Any) -> Any:  # noqa: ANN401 - tensors
        """Return the cosines."""
        return ops.matmul(_normalize(vectors, -1), _normalize(self.kernel, 0))


def to_dense_kernel(layer: Cosines, scale: float) -> FloatArray:
    """Return the Dense kernel, shape (d, classes), that replaces a trained `Cosines` layer.

    UnitNormalization followed by Dense without bias, with this kernel, computes cosines multiplied
    by the scale. A network of these built-in layers loads in Keras without this package, and its
    softmax gives the class probabilities.
    """
    kernel = np.asarray(layer.kernel, dtype=np.float64)
    norms = np.maximum(np.linalg.norm(kernel, axis=0), _MIN_NORM)
    return np.asarray(scale * kernel / norms, dtype=np.float32)


def _normalize(vectors: Any, axis: int) -> Any:  # noqa: ANN401 - tensors
    # Keras' ops.normalize has a NaN gradient for all-zero vectors.
    squared = ops.sum(ops.square(vectors), axis=axis, keepdims=True)
    return vectors * ops.rsqrt(ops.maximum(squared, _MIN_NORM**2))
