"""Networks assembled from body and head: one compiled for training, one for inference."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from outliers_bench.engines.options import resolve_kind
from outliers_bench.engines.protocols import EngineKind
from outliers_bench.training.base import Layer, TrainedModel
from outliers_bench.training.networks import BACKBONE
from outliers_bench.training.options import Loss, Optimizer, Precision, TrainingOptions

HIDDEN, SCORES = "hidden", "scores"  # names of layers


@dataclass(frozen=True)
class InferenceNetwork:
    """The network that is saved: float32, without augmentation, with softmax."""

    network: Any  # from pixels 0..255, shape (batch, side, side, 3), to class probabilities
    head: Any  # from the body's vectors, shape (batch, d), to `penultimate` and `logits`
    outputs: dict[Layer, Any]  # the layers that can be the embedding, computed from the pixels


def resolve_precision(option: TrainingOptions) -> str:
    """Return the Keras dtype policy of `model.precision` on this machine."""
    if option.precision is not Precision.auto:
        return str(option.precision.value)
    return "mixed_float16" if resolve_kind(EngineKind.auto) is EngineKind.keras else "float32"


def build_training_network(option: TrainedModel, classes: int, *, width: int | None) -> Any:  # noqa: ANN401
    """Build and compile the network for training.

    Its outputs are logits, or cosines with ArcFace: float32, shape (batch, classes). A frozen
    backbone runs in inference mode, including its batch normalization.

    Parameters
    ----------
    option : TrainedModel
        The options of the network and its loss.
    classes : int
        Number of classes.
    width : int or None
        Length of a frozen backbone's vectors, which are then the input; None if the input is
        pixels.
    """
    import keras

    on_gpu = resolve_kind(EngineKind.auto) is EngineKind.keras
    previous_policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy(resolve_precision(option))
    try:
        network = _connect_training_layers(option, classes, width)
    finally:
        keras.config.set_dtype_policy(previous_policy)
    network.compile(
        optimizer=_build_optimizer(option),
        loss=build_loss(option),
        metrics=[
            keras.metrics.CategoricalAccuracy(name="accuracy"),
            keras.metrics.TopKCategoricalAccuracy(k=min(5, classes), name="top_5_accuracy"),
        ],
        # On a CPU, XLA doubles the speed of plain convolutions but makes those of a backbone ten
        # times slower, depthwise ones above all.
        jit_compile="auto" if on_gpu else option.has_plain_convolutions,
    )
    network.optimizer.build(network.trainable_variables)
    return network


def build_inference_network(option: TrainedModel, classes: int) -> InferenceNetwork:
    """Build the network for inference, without its trained weights; see `InferenceNetwork`."""
    import keras

    policy = keras.config.dtype_policy()  # part of the session; the engine's precision
    keras.utils.clear_session()  # restarts the numbering of unnamed layers
    keras.config.set_dtype_policy(policy)
    network = option.build_backbone(pretrained=False)
    side = option.image_size
    pixels = keras.Input((side, side, 3), dtype="float32", name="pixels")
    body = option.build_body(pixels, network)
    layers = _head_layers(option, classes, training=False)
    vector = keras.Input((body.vector.shape[-1],), dtype="float32", name="features")
    softmax = keras.layers.Softmax(name="probabilities")
    penultimate, logits = _apply_head(layers, body.vector, option)
    return InferenceNetwork(
        network=keras.Model(pixels, softmax(logits), name=_keras_name(option)),
        head=keras.Model(vector, _apply_head(layers, vector, option), name="head"),
        outputs={
            Layer.penultimate: penultimate,
            Layer.logits: logits,
            Layer.backbone: body.pooled,
        },
    )


def copy_weights(
    target: InferenceNetwork,
    trained: Any,  # noqa: ANN401 - keras.Model
    option: TrainedModel,
) -> None:
    """Copy the weights of a trained network into the network for inference.

    A network without a backbone was trained on the vectors of a frozen one, whose weights are
    loaded again.
    """
    from outliers_bench.training.losses import to_dense_kernel

    is_inside = any(layer.name == BACKBONE for layer in trained.layers)
    backbone = trained.get_layer(BACKBONE) if is_inside else option.build_backbone(pretrained=True)
    for layer in target.network.layers:
        if layer.name == SCORES and option.loss is Loss.arcface:
            layer.set_weights([to_dense_kernel(trained.get_layer(SCORES), option.scale)])
        elif layer.name == BACKBONE:
            _copy_backbone_weights(layer, backbone)
            option.restore_rescaling(layer)
        elif layer.weights:
            layer.set_weights(trained.get_layer(layer.name).get_weights())


def build_loss(option: TrainingOptions) -> Any:  # noqa: ANN401 - keras.Loss
    """Return the loss of one-hot labels and logits or, with ArcFace, cosines."""
    import keras

    from outliers_bench.training.losses import ArcFace

    if option.loss is Loss.arcface:
        return ArcFace(option.margin, option.scale, option.label_smoothing)
    return keras.losses.CategoricalCrossentropy(
        from_logits=True, label_smoothing=option.label_smoothing
    )


def _build_optimizer(option: TrainingOptions) -> Any:  # noqa: ANN401 - a Keras optimizer
    import keras

    momentum = {"momentum": option.momentum} if option.optimizer is Optimizer.sgd else {}
    # AdamW requires a number; for the others None disables weight decay.
    decay = option.weight_decay or (0.0 if option.optimizer is Optimizer.adamw else None)
    options = {"learning_rate": option.learning_rate, "weight_decay": decay, **momentum}
    return keras.optimizers.get({"class_name": option.optimizer.value, "config": options})


def _connect_training_layers(option: TrainedModel, classes: int, width: int | None) -> Any:  # noqa: ANN401
    import keras

    network = None if width is not None else option.build_backbone(pretrained=True)
    keras.utils.set_random_seed(option.random_seed)
    if width is not None:
        inputs = vector = keras.Input((width,), dtype="float32", name="features")
    else:
        side = option.image_size
        inputs = pixels = keras.Input((side, side, 3), dtype="float32", name="pixels")
        for layer in option.augment.layers(option.random_seed):
            pixels = layer(pixels)
        vector = option.build_body(pixels, network).vector
    _, scores = _apply_head(_head_layers(option, classes, training=True), vector, option)
    return keras.Model(inputs, scores, name=_keras_name(option))


def _apply_head(layers: list[Any], vector: Any, option: TrainedModel) -> list[Any]:  # noqa: ANN401
    """Return the input and the output of the classification layer."""
    outputs = [vector]
    for layer in layers:
        outputs.append(layer(outputs[-1]))
    return [outputs[1 if option.hidden else 0], outputs[-1]]


def _head_layers(option: TrainedModel, classes: int, *, training: bool) -> list[Any]:
    """Return the layers after the body; initial weights depend only on the seed."""
    import keras

    layers: list[Any] = []
    first = keras.initializers.GlorotUniform(seed=option.random_seed)
    second = keras.initializers.GlorotUniform(seed=(option.random_seed + 1) % 2**32)
    if hidden := option.hidden:
        layers.append(
            keras.layers.Dense(hidden, activation="relu", kernel_initializer=first, name=HIDDEN)
        )
    if option.loss is Loss.cross_entropy:
        scores = keras.layers.Dense(
            classes, dtype="float32", kernel_initializer=second, name=SCORES
        )
        return [*layers, scores]
    if training:
        from outliers_bench.training.losses import Cosines

        return [*layers, Cosines(classes, initializer=second, name=SCORES)]
    unit = keras.layers.UnitNormalization(name="unit")
    return [*layers, unit, keras.layers.Dense(classes, use_bias=False, name=SCORES)]


def _copy_backbone_weights(target: Any, source: Any) -> None:  # noqa: ANN401 - keras.Model
    """Copy weights between two builds of a backbone; either may have layers without weights."""
    for layer in target.layers:
        if layer.weights:
            layer.set_weights(source.get_layer(layer.name).get_weights())
        if hasattr(layer, "finalize_state"):  # Normalization caches its statistics
            layer.finalize_state()


def _keras_name(option: TrainedModel) -> str:
    """Return a name that Keras accepts."""
    return re.sub(r"[^A-Za-z0-9_.-]", "_", f"trained_{option.name}")
