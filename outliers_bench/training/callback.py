"""Training callback: learning rate, best epoch, checkpoints, early stopping, progress."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from outliers_bench.errors import BenchError
from outliers_bench.runtime.training_observer import TrainingObserver
from outliers_bench.store.files import digest_of, write_atomically
from outliers_bench.store.seal import file_digest
from outliers_bench.training.augment import reseed_generators
from outliers_bench.training.base import TrainedModel
from outliers_bench.training.dataset import Examples

STATE = "state.json"
_log = logging.getLogger(__name__)


@dataclass
class TrainingCallback:
    """Schedule, checkpoint, stop and report a training; the `on_*` methods are Keras callbacks.

    After each epoch the weights and the optimizer's state are written to `folder`, and then
    `state.json` with the metrics of all epochs, by an atomic rename. A process killed at any moment
    therefore leaves the last complete epoch. Keras' own callbacks for this forget the best epoch
    and the patience when a training is resumed.
    """

    network: Any  # a compiled keras.Model
    option: TrainedModel
    examples: Examples  # of the training; their `epoch` is set
    folder: Path
    observer: TrainingObserver  # notified after each epoch
    show_progress: Callable[[int, str], None]  # takes the finished steps and a description
    epochs: list[dict[str, float]] = field(default_factory=list)  # metrics of the finished ones
    _epoch_start: float = 0.0

    @property
    def best_epoch(self) -> int:
        """Epoch, counted from 1, whose weights are used: with the best validation loss, or last."""
        losses = self._val_losses()
        if not losses or not self.option.best_weights:
            return len(self.epochs)
        return 1 + losses.index(min(losses))

    @property
    def is_finished(self) -> bool:
        """True if all epochs are done or the patience is exhausted."""
        losses = self._val_losses()
        waited = len(losses) - 1 - losses.index(min(losses)) if losses else 0
        out_of_patience = self.option.patience is not None and waited >= self.option.patience
        return len(self.epochs) >= self.option.epochs or out_of_patience

    def resume(self) -> None:
        """Load the last checkpoint, if there is one, and report its epochs."""
        path = self.folder / STATE
        if not path.exists():
            return
        variables = [*self.network.variables, *self.network.optimizer.variables]
        initial = [np.array(variable) for variable in variables]
        try:
            self.epochs = self._read_state(path)
            for epoch in (self.best_epoch, len(self.epochs)):  # the best is loaded at the end
                self.network.load_weights(self._checkpoint(epoch))
        except (OSError, ValueError, KeyError, TypeError) as error:
            _log.warning("%s cannot be read (%s); training starts over", path, error)
            for variable, value in zip(variables, initial, strict=True):  # may be partly loaded
                variable.assign(value)
            self.epochs = []
        for number, metrics in enumerate(self.epochs, 1):
            self.observer.on_epoch_end(number, metrics)

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:  # noqa: ARG002
        """Set the learning rate, the order of images and the random seeds of the epoch."""
        self._epoch_start = time.perf_counter()
        self.examples.epoch = epoch
        option = self.option
        rate = option.lr_schedule.rate(option.learning_rate, epoch, option.epochs)
        self.network.optimizer.learning_rate = rate
        reseed_generators(self.network, option.random_seed, epoch)

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float]) -> None:
        """Update the progress bar; raise `BenchError` if the loss is not finite."""
        epoch = len(self.epochs)
        self._check_loss(logs["loss"], f"in epoch {epoch + 1}, batch {batch + 1}")
        text = f"epoch {epoch + 1}/{self.option.epochs} loss {logs['loss']:.3f} "
        text += f"accuracy {logs['accuracy']:.3f}"
        if self.epochs and "val_accuracy" in self.epochs[-1]:
            text += f" validation {self.epochs[-1]['val_accuracy']:.3f}"
        self.show_progress(epoch * self.examples.steps + batch + 1, text)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float]) -> None:
        """Record the metrics, write a checkpoint, notify the observer, stop if finished."""
        metrics = {name: float(value) for name, value in logs.items()}
        self._check_loss(metrics.get("val_loss", 0.0), f"on the validation part, epoch {epoch + 1}")
        metrics["learning_rate"] = float(self.network.optimizer.learning_rate)
        metrics["seconds"] = time.perf_counter() - self._epoch_start
        self.epochs.append(metrics)
        self.network.save_weights(self._checkpoint(epoch + 1))
        with write_atomically(self.folder / STATE) as temporary:
            temporary.write_text(json.dumps(self._state()))
        for path in self.folder.glob("*.weights.h5"):
            if path not in (self._checkpoint(epoch + 1), self._checkpoint(self.best_epoch)):
                path.unlink()
        self.observer.on_epoch_end(epoch + 1, metrics)
        if self.is_finished:
            self.network.stop_training = True

    def restore_best_weights(self) -> None:
        """Load the weights of the best epoch, unless it is the last."""
        if self.best_epoch < len(self.epochs):
            self.network.load_weights(self._checkpoint(self.best_epoch))

    def remove_checkpoints(self) -> None:
        """Remove the checkpoints."""
        for path in (self.folder / STATE, *self.folder.glob("*.weights.h5")):
            path.unlink(missing_ok=True)

    def _state(self) -> dict[str, Any]:
        files = {self._checkpoint(epoch) for epoch in (len(self.epochs), self.best_epoch)}
        checkpoints = {path.name: file_digest(path) for path in sorted(files)}
        state = {"epochs": self.epochs, "checkpoints": checkpoints}
        return {**state, "digest": digest_of(state)}

    def _read_state(self, path: Path) -> list[dict[str, float]]:
        """Return the metrics of the epochs; ValueError if they or the weights are damaged."""
        state = json.loads(path.read_text())
        if "digest" in state:  # not in those of earlier versions
            files = state["checkpoints"]
            is_intact = state.pop("digest") == digest_of(state) and all(
                file_digest(self.folder / name) == digest for name, digest in files.items()
            )
            if not is_intact:
                raise ValueError("it or a checkpoint is damaged")
        return [dict(metrics) for metrics in state["epochs"]]

    def _val_losses(self) -> list[float]:
        """Return the validation loss of each epoch; none without a validation part."""
        return [metrics["val_loss"] for metrics in self.epochs if "val_loss" in metrics]

    def _checkpoint(self, epoch: int) -> Path:
        return self.folder / f"checkpoint-{epoch}.weights.h5"

    def _check_loss(self, loss: float, where: str) -> None:
        if not math.isfinite(loss):
            raise BenchError(
                f"model={self.option.name}: the loss became {loss} {where}, so training cannot "
                "continue; use a smaller model.learning_rate than "
                f"{self.option.learning_rate:g}"
            )
