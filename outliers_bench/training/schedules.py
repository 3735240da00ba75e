"""The `lr_schedule=` options: what the learning rate is in each epoch."""

from __future__ import annotations

import math
from dataclasses import dataclass

from outliers_bench.errors import BenchError
from outliers_bench.runtime.option_labels import name_and_unusual


@dataclass
class LrSchedule:
    """Base of the `lr_schedule=` options; by itself, as `constant`, the rate stays as it is.

    Parameters
    ----------
    name : str
        What it is called in tables.
    warmup_epochs : int
        Epochs at the beginning, counted among all, in which the rate rises linearly: with w of
        them, epoch e (from 0) has (e + 1) / (w + 1) of the base. The schedule begins after them.

    References
    ----------
    P. Goyal et al., "Accurate, large minibatch SGD: training ImageNet in 1 hour", 2017.
    """

    name: str = "constant"
    warmup_epochs: int = 0

    @property
    def label(self) -> str:
        """What stands in tables: name and unusual options; empty for a plain constant rate."""
        return name_and_unusual(self, LrSchedule)

    def check(self) -> None:
        """Raise `BenchError` for options that cannot work."""
        if self.warmup_epochs < 0:
            raise BenchError(
                f"lr_schedule.warmup_epochs={self.warmup_epochs}: a whole number of at least 0"
            )

    def rate(self, base: float, epoch: int, epochs: int) -> float:
        """The learning rate of an epoch.

        Parameters
        ----------
        base : float
            What `model.learning_rate` asks for.
        epoch : int
            From 0.
        epochs : int
            How many there are, those of the warm-up among them.
        """
        if epoch < self.warmup_epochs:
            return base * (epoch + 1) / (self.warmup_epochs + 1)
        return self.scheduled(base, epoch - self.warmup_epochs, epochs - self.warmup_epochs)

    def scheduled(self, base: float, epoch: int, epochs: int) -> float:  # noqa: ARG002
        """The same after the warm-up, whose epochs are not counted; epoch 0 has the base."""
        return base


@dataclass
class _Decaying(LrSchedule):
    decay: float = 0.85

    def check(self) -> None:
        """Raise `BenchError` for options that cannot work."""
        super().check()
        if not 0 < self.decay <= 1:
            raise BenchError(f"lr_schedule.decay={self.decay}: above 0, at most 1")


@dataclass
class OriginalSchedule(_Decaying):
    """`lr_schedule=original`: epoch e multiplies the rate of the epoch before by decay**e.

    That is ``lr * 0.85 ** floor(epoch / 1)`` on the *current* rate, as a LearningRateScheduler
    gets it. The powers add up, to ``base * decay ** (e * (e + 1) / 2)``, so the rate falls faster
    than exponentially: with 0.85, the third epoch has 0.61 of the base, the sixth 0.09 and the
    tenth 0.0007. `lr_schedule=exponential` multiplies by the decay itself each time.

    Parameters
    ----------
    decay : float
        Above 0, at most 1.
    """

    name: str = "original"

    def scheduled(self, base: float, epoch: int, epochs: int) -> float:  # noqa: ARG002
        """See `LrSchedule.scheduled`."""
        rate = base
        for past in range(1, epoch + 1):
            rate = rate * self.decay**past
        return rate


@dataclass
class ExponentialSchedule(_Decaying):
    """`lr_schedule=exponential`: every epoch has `decay` of the rate before, base * decay**e.

    Parameters
    ----------
    decay : float
        Above 0, at most 1.
    """

    name: str = "exponential"

    def scheduled(self, base: float, epoch: int, epochs: int) -> float:  # noqa: ARG002
        """See `LrSchedule.scheduled`."""
        return base * self.decay**epoch


@dataclass
class CosineSchedule(LrSchedule):
    """`lr_schedule=cosine`: half a cosine wave from the base down to `final` of it.

    The rate is constant within an epoch. The end of the wave comes after the last epoch, so that
    the last one still learns: of n epochs, e has the share
    ``final + (1 - final) * (1 + cos(pi * e / n)) / 2``.

    Parameters
    ----------
    final : float
        Share of the base, from 0 to 1.

    References
    ----------
    I. Loshchilov, F. Hutter, "SGDR: stochastic gradient descent with warm restarts", ICLR 2017.
    """

    name: str = "cosine"
    final: float = 0.0

    def check(self) -> None:
        """Raise `BenchError` for options that cannot work."""
        super().check()
        if not 0 <= self.final <= 1:
            raise BenchError(f"lr_schedule.final={self.final}: from 0 to 1")

    def scheduled(self, base: float, epoch: int, epochs: int) -> float:
        """See `LrSchedule.scheduled`."""
        wave = (1 + math.cos(math.pi * epoch / epochs)) / 2
        return base * (self.final + (1 - self.final) * wave)
