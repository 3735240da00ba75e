"""A network ready to be fitted: its precision, its optimizer, its loss."""

from __future__ import annotations

from typing import Any

from outliers_bench.engines.options import resolve_kind
from outliers_bench.engines.protocols import EngineKind
from outliers_bench.training.assemble import trainer_of
from outliers_bench.training.base import Trained
from outliers_bench.training.losses import loss_of, metrics_of
from outliers_bench.training.models import CnnScratch
from outliers_bench.training.options import Optimizer, Precision, TrainingOptions


def precision_of(option: TrainingOptions) -> str:
    """What `model.precision` means on this machine, as Keras calls it."""
    if option.precision is not Precision.auto:
        return str(option.precision.value)
    return "mixed_float16" if resolve_kind(EngineKind.auto) is EngineKind.keras else "float32"


def compiled(option: Trained, classes: int, *, width: int | None) -> Any:  # noqa: ANN401
    """Build and compile the network that is trained; see `trainer_of` for the arguments."""
    import keras

    on_gpu = resolve_kind(EngineKind.auto) is EngineKind.keras
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision_of(option))
    try:
        network = trainer_of(option, classes, width=width)
    finally:
        keras.config.set_dtype_policy(before)
    network.compile(
        optimizer=_optimizer(option),
        loss=loss_of(option),
        metrics=metrics_of(classes),
        # On a CPU XLA doubles the speed of plain convolutions, and those of a backbone, depthwise
        # ones above all, take ten times as long.
        jit_compile="auto" if on_gpu else _plain_convolutions(option),
    )
    network.optimizer.build(network.trainable_variables)
    return network


def _plain_convolutions(option: Trained) -> bool:
    return isinstance(option, CnnScratch) and not option.augment.active


def _optimizer(option: TrainingOptions) -> Any:  # noqa: ANN401 - a Keras optimizer
    import keras

    kind = {
        Optimizer.adam: keras.optimizers.Adam,
        Optimizer.adamw: keras.optimizers.AdamW,
        Optimizer.sgd: keras.optimizers.SGD,
        Optimizer.rmsprop: keras.optimizers.RMSprop,
    }[option.optimizer]
    momentum = {"momentum": option.momentum} if option.optimizer is Optimizer.sgd else {}
    # Zero is not none: AdamW asks for a number.
    decay = option.weight_decay or (0.0 if option.optimizer is Optimizer.adamw else None)
    return kind(option.learning_rate, weight_decay=decay, **momentum)
