"""Training callback: learning rate, best epoch, checkpoints, early stopping, progress."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from outliers_bench.errors import BenchError
from outliers_bench.runtime.training_observer import TrainingObserver
from outliers_bench.store.files import write_atomically
from outliers_bench.training.augment import reseed_generators
from outliers_bench.training.dataset import Examples
from outliers_bench.training.options import TrainingOptions

STATE = "state.json"
_TEMPORARY = "writing.weights.h5"  # Keras requires this suffix
_log = logging.getLogger(__name__)


class TrainingCallback:
    """Schedule, checkpoint, stop and report a training; the `on_*` methods are Keras callbacks.

    After each epoch the weights and the optimizer's state are written to `folder`, and then
    `state.json`, which names them, by an atomic rename. A process killed at any moment therefore
    leaves the last complete epoch.

    Parameters
    ----------
    network : keras.Model
        Compiled.
    options : TrainingOptions
        Epochs, learning rate, schedule, patience.
    examples : Examples
        The training examples, whose `epoch` is set.
    folder : Path
        Directory of the checkpoints.
    observer : TrainingObserver
        Notified after each epoch.
    show_progress : callable
        Called with the number of finished steps and a description.
    name : str
        Name of the model in messages.
    """

    def __init__(
        self,
        network: Any,  # noqa: ANN401 - keras.Model
        options: TrainingOptions,
        examples: Examples,
        folder: Path,
        observer: TrainingObserver,
        *,
        show_progress: Callable[[int, str], None],
        name: str,
    ) -> None:
        self._network = network
        self._options = options
        self._examples = examples
        self._folder = folder
        self._observer = observer
        self._show_progress = show_progress
        self._name = name
        self._epoch_start = 0.0
        self._epoch = 0
        self.epochs: list[dict[str, float]] = []
        self.best_epoch = 0
        self._best_loss = math.inf

    @property
    def is_finished(self) -> bool:
        """True if all epochs are done or the patience is exhausted."""
        losses = [metrics["val_loss"] for metrics in self.epochs if "val_loss" in metrics]
        waited = len(losses) - 1 - losses.index(min(losses)) if losses else 0
        out_of_patience = self._options.patience is not None and waited >= self._options.patience
        return len(self.epochs) >= self._options.epochs or out_of_patience

    def resume(self) -> int:
        """Load the last checkpoint, if there is one.

        Returns
        -------
        int
            Number of finished epochs.
        """
        path = self._folder / STATE
        if not path.exists():
            return 0
        variables = [*self._network.variables, *self._network.optimizer.variables]
        initial = [np.array(variable) for variable in variables]
        try:
            state = json.loads(path.read_text())
            self._network.load_weights(self._folder / state["checkpoint"])
            self.epochs = [dict(metrics) for metrics in state["epochs"]]
            self.best_epoch = int(state["best_epoch"])
            self._best_loss = float(state["best_loss"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            _log.warning("%s cannot be read (%s); training starts over", path, error)
            self.epochs, self.best_epoch, self._best_loss = [], 0, math.inf
            for variable, value in zip(variables, initial, strict=True):  # may be partly loaded
                variable.assign(value)
            return 0
        for number, metrics in enumerate(self.epochs, 1):
            self._observer.on_epoch_end(number, metrics)
        return len(self.epochs)

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:  # noqa: ARG002
        """Set the learning rate, the order of images and the random seeds of the epoch."""
        self._epoch_start = time.perf_counter()
        self._epoch = epoch
        self._examples.epoch = epoch
        options = self._options
        rate = options.lr_schedule.rate(options.learning_rate, epoch, options.epochs)
        self._network.optimizer.learning_rate = rate
        reseed_generators(self._network, options.random_seed, epoch)

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """Update the progress bar; raise `BenchError` if the loss is not finite."""
        metrics = logs or {}
        loss = metrics.get("loss", 0.0)
        self._check_loss(loss, f"in epoch {self._epoch + 1}, batch {batch + 1}")
        steps_done = self._epoch * self._examples.steps + batch + 1
        self._show_progress(
            steps_done,
            f"epoch {self._epoch + 1}/{self._options.epochs} loss {loss:.3f} "
            f"accuracy {metrics.get('accuracy', 0.0):.3f}{self._format_val_accuracy()}",
        )

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Record the metrics, write a checkpoint, notify the observer, stop if finished."""
        metrics = {name: float(value) for name, value in (logs or {}).items()}
        self._check_loss(metrics.get("val_loss", 0.0), f"on the validation part, epoch {epoch + 1}")
        metrics["learning_rate"] = float(self._network.optimizer.learning_rate)
        metrics["seconds"] = time.perf_counter() - self._epoch_start
        self.epochs.append(metrics)
        val_loss = metrics.get("val_loss", math.nan)
        # Without a validation part the last epoch counts as the best.
        if val_loss < self._best_loss or math.isnan(val_loss) or not self._options.best_weights:
            self.best_epoch = epoch + 1
        if val_loss < self._best_loss:
            self._best_loss = val_loss
            if self._options.best_weights:
                self._save(_best_file(epoch + 1))
        checkpoint = f"checkpoint-{epoch + 1}.weights.h5"
        self._save(checkpoint)
        state = {
            "checkpoint": checkpoint,
            "epochs": self.epochs,
            "best_epoch": self.best_epoch,
            "best_loss": self._best_loss,
        }
        with write_atomically(self._folder / STATE) as temporary:
            temporary.write_text(json.dumps(state))
        for path in self._folder.glob("*.weights.h5"):
            if path.name not in (checkpoint, _best_file(self.best_epoch)):
                path.unlink()
        self._observer.on_epoch_end(epoch + 1, metrics)
        if self.is_finished:
            self._network.stop_training = True

    def restore_best_weights(self) -> None:
        """Load the weights of the best epoch, unless it is the last."""
        if self.best_epoch < len(self.epochs):
            self._network.load_weights(self._folder / _best_file(self.best_epoch))

    def remove_checkpoints(self) -> None:
        """Remove the checkpoints."""
        for path in (self._folder / STATE, *self._folder.glob("*.weights.h5")):
            path.unlink(missing_ok=True)

    def _check_loss(self, loss: float, where: str) -> None:
        if not math.isfinite(loss):
            raise BenchError(
                f"model={self._name}: the loss became {loss} {where}, so training cannot continue; "
                f"use a smaller model.learning_rate than {self._options.learning_rate:g}"
            )

    def _save(self, name: str) -> None:
        self._network.save_weights(self._folder / _TEMPORARY)
        (self._folder / _TEMPORARY).replace(self._folder / name)

    def _format_val_accuracy(self) -> str:
        last = self.epochs[-1].get("val_accuracy") if self.epochs else None
        return "" if last is None else f" validation {last:.3f}"


def _best_file(epoch: int) -> str:
    return f"best-{epoch}.weights.h5"
