"""The `lr_schedule=` options: the learning rate of each epoch."""

from __future__ import annotations

import math
from dataclasses import dataclass

from outliers_bench.errors import BenchError
from outliers_bench.runtime.option_labels import name_and_non_defaults


@dataclass
class LrSchedule:
    """Base of the `lr_schedule=` options; `constant` keeps the base learning rate.

    Parameters
    ----------
    name : str
        Name in tables.
    warmup_epochs : int
        Number of epochs at the beginning, included in the total, in which the rate rises linearly:
        with w warm-up epochs, epoch e (from 0) has (e + 1) / (w + 1) of the base. The schedule
        starts after them.

    References
    ----------
    P. Goyal et al., "Accurate, large minibatch SGD: training ImageNet in 1 hour", 2017.
    """

    name: str = "constant"
    warmup_epochs: int = 0

    @property
    def label(self) -> str:
        """Label in tables: the name and non-default options; empty for a constant rate."""
        return name_and_non_defaults(self, LrSchedule)

    def check(self) -> None:
        """Raise `BenchError` for invalid options."""
        if self.warmup_epochs < 0:
            raise BenchError(
                f"lr_schedule.warmup_epochs={self.warmup_epochs}: expected an integer of at least 0"
            )

    def rate(self, base: float, epoch: int, epochs: int) -> float:
        """Return the learning rate of an epoch, counted from 0, of all, including the warm-up."""
        warmup = self.warmup_epochs
        if epoch < warmup:
            return base * (epoch + 1) / (warmup + 1)
        return self._after_warmup(base, epoch - warmup, epochs - warmup)

    def _after_warmup(self, base: float, epoch: int, epochs: int) -> float:  # noqa: ARG002
        """Return the learning rate of an epoch, counted from the end of the warm-up."""
        return base


@dataclass
class ExponentialSchedule(LrSchedule):
    """`lr_schedule=exponential`: exponential decay, base * decay**e in epoch e.

    Parameters
    ----------
    decay : float
        Above 0, at most 1.
    """

    name: str = "exponential"
    decay: float = 0.85

    def check(self) -> None:
        """Raise `BenchError` for invalid options."""
        super().check()
        if not 0 < self.decay <= 1:
            raise BenchError(
                f"lr_schedule.decay={self.decay}: expected a number above 0, at most 1"
            )

    def _after_warmup(self, base: float, epoch: int, epochs: int) -> float:  # noqa: ARG002
        return base * self.decay**epoch


@dataclass
class OriginalSchedule(ExponentialSchedule):
    """`lr_schedule=original`: epoch e multiplies the rate of the previous epoch by decay**e.

    That is ``lr * 0.85 ** floor(epoch / 1)`` applied to the *current* rate, as Keras'
    LearningRateScheduler passes it. The exponents add up to
    ``base * decay ** (e * (e + 1) / 2)``, so the rate decays faster than exponentially: with 0.85,
    the third epoch has 0.61 of the base, the sixth 0.09 and the tenth 0.0007.
    `lr_schedule=exponential` multiplies by the decay itself in each epoch.
    """

    name: str = "original"

    def _after_warmup(self, base: float, epoch: int, epochs: int) -> float:  # noqa: ARG002
        rate = base
        for each in range(1, epoch + 1):
            rate = rate * self.decay**each
        return rate


@dataclass
class CosineSchedule(LrSchedule):
    """`lr_schedule=cosine`: cosine decay from the base rate to a fraction `final` of it.

    The rate is constant within an epoch. The decay ends after the last epoch, so that the last
    epoch still has a rate above the final one: epoch e of n has the fraction
    ``final + (1 - final) * (1 + cos(pi * e / n)) / 2``.

    Parameters
    ----------
    final : float
        Final rate as a fraction of the base, from 0 to 1.

    References
    ----------
    I. Loshchilov, F. Hutter, "SGDR: stochastic gradient descent with warm restarts", ICLR 2017.
    """

    name: str = "cosine"
    final: float = 0.0

    def check(self) -> None:
        """Raise `BenchError` for invalid options."""
        super().check()
        if not 0 <= self.final <= 1:
            raise BenchError(f"lr_schedule.final={self.final}: expected a number from 0 to 1")

    def _after_warmup(self, base: float, epoch: int, epochs: int) -> float:
        wave = (1 + math.cos(math.pi * epoch / epochs)) / 2
        return base * (self.final + (1 - self.final) * wave)
