"""Compile the network to train: precision, optimizer, loss."""

from __future__ import annotations

from typing import Any

from outliers_bench.engines.options import resolve_kind
from outliers_bench.engines.protocols import EngineKind
from outliers_bench.training.assemble import build_training_network
from outliers_bench.training.base import TrainedModel
from outliers_bench.training.options import Loss, Optimizer, Precision, TrainingOptions


def resolve_precision(option: TrainingOptions) -> str:
    """Return the Keras dtype policy of `model.precision` on this machine."""
    if option.precision is not Precision.auto:
        return str(option.precision.value)
    return "mixed_float16" if resolve_kind(EngineKind.auto) is EngineKind.keras else "float32"


def build_compiled_network(option: TrainedModel, classes: int, *, width: int | None) -> Any:  # noqa: ANN401
    """Build and compile the network to train; see `build_training_network` for the arguments."""
    import keras

    on_gpu = resolve_kind(EngineKind.auto) is EngineKind.keras
    previous_policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy(resolve_precision(option))
    try:
        network = build_training_network(option, classes, width=width)
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
