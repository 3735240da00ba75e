"""Observers of a training, notified while it runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class TrainedNetwork:
    """Result of a finished training, of this run or an earlier one.

    Parameters
    ----------
    folder : Path
        Folder of `model.keras` (float32 pixels 0..255, shape (n, side, side, 3), to class
        probabilities), `summary.txt` and `training.json`.
    name : str
        Name of the model.
    epochs : tuple of mapping of str to float
        Metrics of each epoch, in order: `loss`, `accuracy`, `top_5_accuracy`, each also with the
        prefix `val_` if there is a validation part, `learning_rate`, `seconds`.
    best_epoch : int
        Epoch, counted from 1, whose weights are in `model.keras`.
    classes : tuple of str
        Class of each output of `model.keras`, in order.
    image_size : int
        Side of the input in pixels.
    fresh : bool
        Whether this run trained it.
    """

    folder: Path
    name: str
    epochs: tuple[Mapping[str, float], ...]
    best_epoch: int
    classes: tuple[str, ...]
    image_size: int
    fresh: bool


class TrainingObserver:
    """Callbacks of a training; these do nothing."""

    def on_epoch_end(self, number: int, metrics: Mapping[str, float]) -> None:
        """Handle the metrics of an epoch, counted from 1; must not block the training."""

    def on_train_end(self, network: TrainedNetwork) -> None:
        """Handle the end of the training; the files of the network are complete."""

    def for_network(self, label: str) -> TrainingObserver:  # noqa: ARG002
        """Return an observer for one of several networks of a run; its metrics carry the label."""
        return self


NULL_OBSERVER = TrainingObserver()
