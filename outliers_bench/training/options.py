"""Training options, shared by the `model=` options that are trained."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import Enum

from outliers_bench.errors import BenchError
from outliers_bench.runtime.option_roles import SPEED
from outliers_bench.training.augment import Augment
from outliers_bench.training.schedules import LrSchedule


class Optimizer(Enum):
    """The optimizer; the values of `model.optimizer`."""

    adam = "adam"
    adamw = "adamw"
    sgd = "sgd"
    rmsprop = "rmsprop"


class Loss(Enum):
    """The training loss; the values of `model.loss`."""

    cross_entropy = "cross_entropy"
    arcface = "arcface"


class ClassWeights(Enum):
    """Weighting of classes in the loss; the values of `model.class_weights`."""

    none = "none"
    balanced = "balanced"  # inversely proportional to the number of images of the class


class Precision(Enum):
    """Numeric precision of the training; the values of `model.precision`."""

    auto = "auto"  # mixed_float16 on a GPU, float32 otherwise
    float32 = "float32"
    mixed_float16 = "mixed_float16"
    mixed_bfloat16 = "mixed_bfloat16"


@dataclass(kw_only=True)
class TrainingOptions:
    """Options of the training.

    Parameters
    ----------
    epochs : int
        Passes over the train part.
    batch_size : int
        Images per step; at most the size of the train part.
    optimizer : Optimizer
        With Keras' defaults, except the learning rate; `sgd` uses `momentum`.
    learning_rate : float
        Base learning rate of the schedule.
    momentum : float
        Momentum of `sgd`.
    weight_decay : float
        Decoupled weight decay per step; 0 for none.
    loss : Loss
        `arcface` adds an angular margin between classes (Deng et al. 2019).
    label_smoothing : float
        Fraction of the label that is spread over all classes, 0 to below 1.
    margin, scale : float
        ArcFace's margin in radians and the factor of its cosines.
    class_weights : ClassWeights
        `balanced` gives all classes the same total weight.
    validation : float
        Fraction of the train part that is held out for validation; 0 for none. A class of one
        image stays in training.
    patience : int or None
        Epochs without a better validation loss after which training stops; None to train for all
        `epochs`.
    best_weights : bool
        Whether to use the weights of the epoch with the best validation loss instead of the last.
    precision : Precision
        `auto` is mixed_float16 on a GPU and float32 otherwise.
    memory_gb : float
        Memory limit in gigabytes (10**9 bytes) for decoded images or features of a frozen
        backbone. Beyond it, they are decoded or read from the store again in every epoch.
    store_features : bool
        Whether to compute the features of a frozen backbone once and store them.
    resume : bool
        Whether to resume an interrupted training after its last complete epoch.
    deterministic : bool
        Whether repeated training gives bitwise identical results on this machine; slower.
    lr_schedule : LrSchedule
        Schedule of the learning rate.
    augment : Augment
        Random transformations of training images.
    random_seed : int
        Seed of the initial weights, the order of images and their augmentation.
    """

    epochs: int = 10
    batch_size: int = 128
    optimizer: Optimizer = Optimizer.adam
    learning_rate: float = 0.001
    momentum: float = 0.9
    weight_decay: float = 0.0
    loss: Loss = Loss.cross_entropy
    label_smoothing: float = 0.0
    margin: float = 0.3
    scale: float = 30.0
    class_weights: ClassWeights = ClassWeights.none
    validation: float = 0.1
    patience: int | None = None
    best_weights: bool = True
    precision: Precision = Precision.auto
    memory_gb: float = field(default=2.0, metadata=SPEED)
    store_features: bool = field(default=True, metadata=SPEED)
    resume: bool = field(default=True, metadata=SPEED)
    deterministic: bool = False
    lr_schedule: LrSchedule = field(default_factory=LrSchedule)
    augment: Augment = field(default_factory=Augment)
    random_seed: int = 0

    def check_training(self) -> None:
        """Raise `BenchError` for invalid options."""
        expected = {
            "epochs": (self.epochs >= 1, "an integer of at least 1"),
            "batch_size": (self.batch_size >= 1, "an integer of at least 1"),
            "patience": (self.patience is None or self.patience >= 1, "an integer of at least 1"),
            "learning_rate": (0 < self.learning_rate <= 100, "a number above 0, at most 100"),
            "margin": (0 <= self.margin <= math.pi / 2, "a number from 0 to pi / 2"),
            "scale": (0 < self.scale <= 1000, "a number above 0, at most 1000"),
            "memory_gb": (0 <= self.memory_gb < math.inf, "a number of at least 0"),
            "random_seed": (0 <= self.random_seed < 2**32, f"an integer from 0 to {2**32 - 1}"),
        }
        for name in ("label_smoothing", "validation", "momentum", "weight_decay"):
            expected[name] = (0 <= getattr(self, name) < 1, "a number from 0 to below 1")
        for name, (is_valid, description) in expected.items():
            if not is_valid:
                raise BenchError(f"model.{name}={getattr(self, name)}: expected {description}")
        if self.patience is not None and not self.validation:
            raise BenchError(
                f"model.patience={self.patience} needs a validation loss, but model.validation=0 "
                "leaves no images for validation"
            )
        self.lr_schedule.check()
        if self.lr_schedule.warmup_epochs >= self.epochs:
            raise BenchError(
                f"lr_schedule.warmup_epochs={self.lr_schedule.warmup_epochs} must be below "
                f"model.epochs={self.epochs}"
            )
        self.augment.check()
