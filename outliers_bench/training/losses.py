"""What a training makes small, the layer that ArcFace needs, and what is counted beside it."""

from __future__ import annotations

import math
from functools import cache as memoised
from typing import TYPE_CHECKING, Any

import numpy as np

from outliers_bench.engines.tensorflow import import_tensorflow
from outliers_bench.types import FloatArray

if TYPE_CHECKING:
    from outliers_bench.training.options import TrainingOptions

_MIN_NORM = 1e-12  # what Keras' UnitNormalization divides by at least


def build_loss(options: TrainingOptions) -> Any:  # noqa: ANN401 - keras.Loss
    """The loss that is asked for.

    Parameters
    ----------
    options : TrainingOptions
        `loss`, `label_smoothing`, and for ArcFace `margin` and `scale`.

    Returns
    -------
    keras.Loss
        Of one-hot targets and outputs, both of shape (batch, classes), the mean over the batch in
        float32. Outputs are logits under `cross_entropy`, and cosines under `arcface`; see
        `Cosines`.
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
    """Cosines of which each target's is made smaller by an angular margin.

    Of the target class cos(t) becomes cos(t + margin), the others stay. Where t + margin is
    beyond pi, which would make it larger again, it becomes cos(t) - margin * sin(margin).

    Parameters
    ----------
    targets : tensor of float32, shape (batch, classes)
        One-hot.
    cosines : tensor of float32, shape (batch, classes)
        From -1 to 1; rounding may leave them a little beyond.
    margin : float
        Radians, from 0 to pi / 2.

    Returns
    -------
    tensor of float32, shape (batch, classes)
        With gradients that are finite at -1 and 1 too.

    References
    ----------
    J. Deng, J. Guo, N. Xue, S. Zafeiriou, "ArcFace: additive angular margin loss for deep face
    recognition", CVPR 2019. Beyond pi as in the authors' code with `easy_margin=False`.
    """
    import_tensorflow()
    from keras import ops

    squared = (1 - cosines) * (1 + cosines)
    # The root's slope is infinite at 0, and what `where` leaves out would still spoil gradients.
    between = squared > 0
    sines = ops.where(between, ops.sqrt(ops.where(between, squared, 1.0)), 0.0)
    turned = cosines * math.cos(margin) - sines * math.sin(margin)
    beyond = cosines - margin * math.sin(margin)
    harder = ops.where(cosines > -math.cos(margin), turned, beyond)
    return ops.where(targets > 0.5, harder, cosines)


def Cosines(  # noqa: N802 - stands where Keras' layers stand
    classes: int,
    *,
    initializer: Any = "glorot_uniform",  # noqa: ANN401 - str or keras.Initializer
    name: str = "cosines",
) -> Any:  # noqa: ANN401 - keras.Layer
    """The last layer under ArcFace: the cosine of its input with a direction for each class.

    Parameters
    ----------
    classes : int
    initializer : str or keras.Initializer
        Of the directions.
    name : str

    Returns
    -------
    keras.Layer
        Any float, shape (batch, d), to float32, shape (batch, classes), whatever precision the
        network computes in. Its one weight `kernel`, shape (d, classes), has the directions as
        columns of any length. All-zero rows have the cosine 0, and a gradient of 0.
    """
    return _cosines_class()(classes, initializer, name)


def to_dense_kernel(layer: Any, scale: float) -> FloatArray:  # noqa: ANN401 - keras.Layer
    """What makes plain Keras layers do what a trained `Cosines` layer does, times the scale.

    UnitNormalization and then Dense without bias, with this kernel: a network that ends so is
    loaded without anything of ours, and its softmax gives the class probabilities.

    Parameters
    ----------
    layer : keras.Layer
        From `Cosines`.
    scale : float

    Returns
    -------
    array of float32, shape (d, classes)
    """
    kernel = np.asarray(layer.kernel, dtype=np.float64)
    lengths = np.maximum(np.linalg.norm(kernel, axis=0), _MIN_NORM)
    return np.asarray(scale * kernel / lengths, dtype=np.float32)


def build_metrics(classes: int) -> list[Any]:
    """What is counted beside the loss: `accuracy` and `top_5_accuracy`.

    Parameters
    ----------
    classes : int
        With fewer than 5, the second looks at so many, and is 1.

    Returns
    -------
    list of keras.Metric
        Of one-hot targets and logits, cosines or probabilities.
    """
    import_tensorflow()
    from keras import metrics

    return [
        metrics.CategoricalAccuracy(name="accuracy"),
        metrics.TopKCategoricalAccuracy(k=min(5, classes), name="top_5_accuracy"),
    ]


# Keras' base classes are there only once it is imported, so the classes are made on first use.
@memoised
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


@memoised
def _cosines_class() -> Any:  # noqa: ANN401 - a type of keras.Layer
    import_tensorflow()
    import keras
    from keras import ops

    def unit(vectors: Any, axis: int) -> Any:  # noqa: ANN401 - tensors
        # Keras' own ops.normalize has a gradient of NaN where all is zero.
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
