"""Who is told how a training goes, while it goes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class TrainedNetwork:
    """A training that has come to its end, be it in this run or in an earlier one.

    Parameters
    ----------
    folder : Path
        Holds `model.keras` (float32 pixels 0..255, shape (n, side, side, 3), to class
        probabilities), `summary.txt` and `training.json`.
    name : str
        What the model is called.
    epochs : tuple of mapping of str to float
        What was measured in each epoch, the first first: `loss`, `accuracy`, `top_5_accuracy`,
        the same with `val_` before it where there is a validation part, `learning_rate`,
        `seconds`.
    best_epoch : int
        The epoch, counted from 1, whose weights were kept.
    classes : tuple of str
        What the outputs of `model.keras` stand for, in order.
    image_size : int
        Side in pixels of its input.
    fresh : bool
        Whether this run has trained it.
    """

    folder: Path
    name: str
    epochs: tuple[Mapping[str, float], ...]
    best_epoch: int
    classes: tuple[str, ...]
    image_size: int
    fresh: bool


class TrainingObserver(Protocol):
    """Who is told how a training goes."""

    def confirm(self) -> object:
        """Called before anything that takes long: the last moment to refuse a run."""
        ...

    def epoch(self, number: int, figures: Mapping[str, float]) -> None:
        """An epoch, counted from 1, has ended; must not keep the training waiting."""
        ...

    def trained(self, network: TrainedNetwork) -> None:
        """The training has ended; its files may be taken from the folder now."""
        ...

    def named(self, label: str) -> TrainingObserver:
        """A watcher for one of several networks of a run, whose figures are told apart by label."""
        ...


class NullObserver:
    """A `TrainingObserver` that looks away."""

    def confirm(self) -> None:
        """Nothing is refused."""

    def epoch(self, number: int, figures: Mapping[str, float]) -> None:
        """Nothing is taken down."""

    def trained(self, network: TrainedNetwork) -> None:
        """Nothing is taken."""

    def named(self, label: str) -> NullObserver:  # noqa: ARG002 - nobody is told
        """The same nobody."""
        return self


NULL_OBSERVER = NullObserver()
