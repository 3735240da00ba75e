"""The options of how a network is trained; part of the `model=` options that are."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import Enum

from outliers_bench.errors import BenchError
from outliers_bench.training.augment import Augment
from outliers_bench.training.schedules import LrSchedule

# What models take over from the run as their own.
SHARED = ("seed", "deterministic", "lr_schedule", "augment")
_MAX_LEARNING_RATE = 100.0


class Optimizer(Enum):
    """Who takes the steps; the values of `model.optimizer`."""

    adam = "adam"
    adamw = "adamw"
    sgd = "sgd"
    rmsprop = "rmsprop"


class Loss(Enum):
    """What is made small; the values of `model.loss`."""

    cross_entropy = "cross_entropy"
    arcface = "arcface"


class ClassWeights(Enum):
    """How much an image of a class counts; the values of `model.class_weights`."""

    none = "none"
    balanced = "balanced"  # inversely to how many the class has


class Precision(Enum):
    """What the network computes in while it is trained; the values of `model.precision`."""

    auto = "auto"  # mixed_float16 on a GPU, float32 otherwise
    float32 = "float32"
    mixed_float16 = "mixed_float16"
    mixed_bfloat16 = "mixed_bfloat16"


@dataclass(kw_only=True)
class TrainingOptions:
    """How a network is trained.

    Parameters
    ----------
    epochs : int
        Passes over the train part.
    batch_size : int
        Images a step; fewer where the train part has fewer.
    optimizer : Optimizer
        With Keras' defaults but for the rate; `sgd` has `momentum`.
    learning_rate : float
        Before the schedule.
    momentum : float
        Of `sgd`.
    weight_decay : float
        Decoupled, a step; 0 for none.
    loss : Loss
        `arcface` puts an angular margin between classes (Deng et al. 2019).
    label_smoothing : float
        Share of the label that is spread over all classes, 0 to below 1.
    margin, scale : float
        ArcFace's margin in radians and the factor of its cosines.
    class_weights : ClassWeights
        `balanced` gives every class the same say, however many images it has.
    validation : float
        Share of the train part that is held out to watch the training; 0 for none. A class of
        one image stays in training.
    patience : int or None
        Epochs without a better validation loss after which the training ends; None: never before
        `epochs`.
    best_weights : bool
        Whether the weights of the epoch with the best validation loss are kept, not the last.
    precision : Precision
        See there.
    memory_gb : float
        Decoded images, or features of a frozen backbone, are kept in memory where they fit into
        that many gigabytes (10**9 bytes), and are decoded, or read from the store, again every
        epoch otherwise.
    store_features : bool
        Whether what a frozen backbone gives is computed once and kept in the feature store.
    resume : bool
        Whether a training that was interrupted goes on after its last whole epoch.
    deterministic : bool
        Whether the same training gives the same bits again on this machine, which takes longer.
    lr_schedule : LrSchedule
        How the rate changes.
    augment : Augment
        How the images are changed in training.
    random_seed : int
        Decides first weights, the order of images and what is changed in them.
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
    memory_gb: float = 2.0
    store_features: bool = True
    resume: bool = True
    deterministic: bool = False
    lr_schedule: LrSchedule = field(default_factory=LrSchedule)
    augment: Augment = field(default_factory=Augment)
    random_seed: int = 0

    def check_training(self) -> None:
        """Raise `BenchError` for options that cannot work."""
        for name, least in (("epochs", 1), ("batch_size", 1), ("patience", 1)):
            number = getattr(self, name)
            if number is not None and number < least:
                raise BenchError(f"model.{name}={number}: a whole number of at least {least}")
        ranges = {
            "learning_rate": (0.0, _MAX_LEARNING_RATE),
            "margin": (0.0, math.pi / 2),
            "scale": (0.0, 1000.0),
            "memory_gb": (0.0, math.inf),
        }
        for name, (low, high) in ranges.items():
            value = getattr(self, name)
            if not (math.isfinite(value) and low < value <= high) and (name, value) not in (
                ("margin", 0.0),
                ("memory_gb", 0.0),
            ):
                most = "" if math.isinf(high) else f", at most {high:g}"
                raise BenchError(f"model.{name}={value}: a number above {low:g}{most}")
        for name in ("label_smoothing", "validation", "momentum", "weight_decay"):
            value = getattr(self, name)
            if not 0 <= value < 1:
                raise BenchError(f"model.{name}={value}: a number from 0 to below 1")
        if self.patience is not None and not self.validation:
            raise BenchError(
                f"model.patience={self.patience} looks at the validation loss, and "
                "model.validation=0 leaves nothing to validate on"
            )
        if not 0 <= self.random_seed < 2**32:
            raise BenchError(f"model.random_seed={self.random_seed}: from 0 to {2**32 - 1}")
        self.lr_schedule.check()
        if self.lr_schedule.warmup_epochs >= self.epochs:
            raise BenchError(
                f"lr_schedule.warmup_epochs={self.lr_schedule.warmup_epochs} leaves none of "
                f"model.epochs={self.epochs} for the rate it rises to; give fewer"
            )
        self.augment.check()
