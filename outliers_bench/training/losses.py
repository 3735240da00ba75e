"""Training losses, the cosine layer for ArcFace, and metrics."""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from outliers_bench.engines.tensorflow import import_tensorflow
from outliers_bench.types import FloatArray

if TYPE_CHECKING:
    from outliers_bench.training.options import TrainingOptions

_MIN_NORM = 1e-12  # as in Keras' UnitNormalization


def build_loss(options: TrainingOptions) -> Any:  # noqa: ANN401 - keras.Loss
    """Return the loss selected by `model.loss`.

    Parameters
    ----------
    options : TrainingOptions
        Uses `loss`, `label_smoothing`, and for ArcFace `margin` and `scale`.

    Returns
    -------
    keras.Loss
        Takes one-hot targets and outputs, both of shape (batch, classes), and returns the mean
        over the batch in float32. Outputs are logits with `cross_entropy` and cosines with
        `arcface`; see `Cosines`.
    """
    from outliers_bench.training.options import Loss

    import_tensorflow()
    import keras

    if options.loss is Loss.cross_entropy:
        return keras.losses.CategoricalCrossentropy(
            from_logits=True, label_smoothing=options.label_smoothing
        )
    return _arcface_class()(options.margin, options.scale, options.label_smoothing)


def add_angular_margin(targets: Any, cosines: Any, margin: float) -> Any:  # noqa: ANN401 - tensors
    """Add an angular margin to the angle of the target class.

    The target's cos(t) becomes cos(t + margin); the other cosines are unchanged. If t + margin
    exceeds pi, where the cosine increases again, it becomes cos(t) - margin * sin(margin).

    Parameters
    ----------
    targets : tensor of float32, shape (batch, classes)
        One-hot labels.
    cosines : tensor of float32, shape (batch, classes)
        From -1 to 1; may exceed the range slightly by rounding.
    margin : float
        Radians, from 0 to pi / 2.

    Returns
    -------
    tensor of float32, shape (batch, classes)
        The gradients are finite, also at -1 and 1.

    References
    ----------
    J. Deng, J. Guo, N. Xue, S. Zafeiriou, "ArcFace: additive angular margin loss for deep face
    recognition", CVPR 2019. Beyond pi as in the authors' code with `easy_margin=False`.
    """
    import_tensorflow()
    from keras import ops

    squared = (1 - cosines) * (1 + cosines)
    # The gradient of sqrt is infinite at 0 and becomes NaN even in the branch `where` discards.
    positive = squared > 0
    sines = ops.where(positive, ops.sqrt(ops.where(positive, squared, 1.0)), 0.0)
    rotated = cosines * math.cos(margin) - sines * math.sin(margin)
    beyond_pi = cosines - margin * math.sin(margin)
    penalized = ops.where(cosines > -math.cos(margin), rotated, beyond_pi)
    return ops.where(targets > 0.5, penalized, cosines)


def Cosines(  # noqa: N802 - used like a Keras layer class
    classes: int,
    *,
    initializer: Any = "glorot_uniform",  # noqa: ANN401 - str or keras.Initializer
    name: str = "cosines",
) -> Any:  # noqa: ANN401 - keras.Layer
    """Return the last layer for ArcFace: cosine of its input with one direction per class.

    Parameters
    ----------
    classes : int
        Number of classes.
    initializer : str or keras.Initializer
        Initializer of the directions.
    name : str
        Name of the layer.

    Returns
    -------
    keras.Layer
        Maps any float type, shape (batch, d), to float32, shape (batch, classes), regardless of
        the network's precision. Its only weight `kernel`, shape (d, classes), has the directions
        as columns of any norm. All-zero rows have cosine 0 and gradient 0.
    """
    return _cosines_class()(classes, initializer, name)


def to_dense_kernel(layer: Any, scale: float) -> FloatArray:  # noqa: ANN401 - keras.Layer
    """Return the Dense kernel that replaces a trained `Cosines` layer, multiplied by the scale.

    UnitNormalization followed by Dense without bias, with this kernel, computes scaled cosines. A
    network of these built-in layers loads in Keras without this package, and its softmax gives
    the class probabilities.

    Parameters
    ----------
    layer : keras.Layer
        From `Cosines`.
    scale : float
        Factor of the cosines.

    Returns
    -------
    array of float32, shape (d, classes)
    """
    kernel = np.asarray(layer.kernel, dtype=np.float64)
    norms = np.maximum(np.linalg.norm(kernel, axis=0), _MIN_NORM)
    return np.asarray(scale * kernel / norms, dtype=np.float32)


def build_metrics(classes: int) -> list[Any]:
    """Return the training metrics `accuracy` and `top_5_accuracy`.

    Parameters
    ----------
    classes : int
        Number of classes; with fewer than 5, top-k accuracy uses k=classes and is always 1.

    Returns
    -------
    list of keras.Metric
        Take one-hot targets and logits, cosines or probabilities.
    """
    import_tensorflow()
    from keras import metrics

    return [
        metrics.CategoricalAccuracy(name="accuracy"),
        metrics.TopKCategoricalAccuracy(k=min(5, classes), name="top_5_accuracy"),
    ]


# Subclasses of Keras classes are defined on first use, so that Keras is imported lazily.
@cache
def _arcface_class() -> Any:  # noqa: ANN401 - a type of keras.Loss
    import keras

    class ArcFace(keras.losses.Loss):  # type: ignore[misc]
        def __init__(self, margin: float, scale: float, smoothing: float) -> None:
            super().__init__(name="arcface")
            self.margin, self.scale, self.smoothing = margin, scale, smoothing

        def call(self, y_true: Any, y_pred: Any) -> Any:  # noqa: ANN401 - tensors
            return keras.losses.categorical_crossentropy(
                y_true,
                self.scale * add_angular_margin(y_true, y_pred, self.margin),
                from_logits=True,
                label_smoothing=self.smoothing,
            )

    return ArcFace


@cache
def _cosines_class() -> Any:  # noqa: ANN401 - a type of keras.Layer
    import_tensorflow()
    import keras
    from keras import ops

    def unit(vectors: Any, axis: int) -> Any:  # noqa: ANN401 - tensors
        # Keras' ops.normalize has a NaN gradient for all-zero vectors.
        squared = ops.sum(ops.square(vectors), axis=axis, keepdims=True)
        return vectors * ops.rsqrt(ops.maximum(squared, _MIN_NORM**2))

    class Cosines(keras.layers.Layer):  # type: ignore[misc]
        def __init__(self, classes: int, initializer: Any, name: str) -> None:  # noqa: ANN401
            super().__init__(name=name, dtype="float32")
            self.classes, self.initializer = classes, initializer

        def build(self, input_shape: tuple[int | None, ...]) -> None:
            self.kernel = self.add_weight(
                shape=(input_shape[-1], self.classes), initializer=self.initializer, name="kernel"
            )

        def call(self, vectors: Any) -> Any:  # noqa: ANN401 - tensors
            return ops.matmul(unit(vectors, -1), unit(self.kernel, 0))

    return Cosines
