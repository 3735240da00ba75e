"""The course of a training: the rate, the best epoch, checkpoints, when to stop, who is told."""

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
from outliers_bench.store.files import written
from outliers_bench.training.augment import reseed_generators
from outliers_bench.training.dataset import Examples
from outliers_bench.training.options import TrainingOptions

STATE = "state.json"
_TEMPORARY = "writing.weights.h5"  # Keras asks for that suffix
_log = logging.getLogger(__name__)


class TrainingCallback:
    """What happens beside the steps; its methods are Keras' callbacks.

    After every epoch the weights with the optimizer's state are in `folder`, and then, in one
    step, `state.json` that names them: whatever moment a kill strikes, the last whole epoch is
    there.

    Parameters
    ----------
    network : keras.Model
        Compiled.
    options : TrainingOptions
        Epochs, rate, schedule, patience.
    examples : Examples
        Are told which epoch it is.
    folder : Path
        Takes the checkpoints.
    observer : Watcher
        Is told of each epoch.
    show : callable
        Is told how many steps are done and what is going on.
    name : str
        The model's, for messages.
    """

    def __init__(
        self,
        network: Any,  # noqa: ANN401 - keras.Model
        options: TrainingOptions,
        examples: Examples,
        folder: Path,
        observer: TrainingObserver,
        *,
        show: Callable[[int, str], None],
        name: str,
    ) -> None:
        self._network = network
        self._options = options
        self._examples = examples
        self._folder = folder
        self._observer = observer
        self._show = show
        self._name = name
        self._began = 0.0
        self._epoch = 0
        self.epochs: list[dict[str, float]] = []
        self.best_epoch = 0
        self._best_loss = math.inf

    @property
    def is_finished(self) -> bool:
        """Whether the training is at its end, by number or for lack of progress."""
        watched = [figures["val_loss"] for figures in self.epochs if "val_loss" in figures]
        waited = len(watched) - 1 - watched.index(min(watched)) if watched else 0
        tired = self._options.patience is not None and waited >= self._options.patience
        return len(self.epochs) >= self._options.epochs or tired

    def resume(self) -> int:
        """Go back to the last checkpoint, if there is one.

        Returns
        -------
        int
            How many epochs are done.
        """
        path = self._folder / STATE
        if not path.exists():
            return 0
        variables = [*self._network.variables, *self._network.optimizer.variables]
        first = [np.array(variable) for variable in variables]
        try:
            state = json.loads(path.read_text())
            self._network.load_weights(self._folder / state["checkpoint"])
            self.epochs = [dict(figures) for figures in state["epochs"]]
            self.best_epoch = int(state["best_epoch"])
            self._best_loss = float(state["best_loss"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            _log.warning("%s cannot be read (%s); the training begins anew", path, error)
            self.epochs, self.best_epoch, self._best_loss = [], 0, math.inf
            for variable, value in zip(variables, first, strict=True):  # some may be loaded
                variable.assign(value)
            return 0
        for number, figures in enumerate(self.epochs, 1):
            self._observer.epoch(number, figures)
        return len(self.epochs)

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:  # noqa: ARG002
        """Set the rate, the order of images, and what chance will bring."""
        self._began = time.perf_counter()
        self._epoch = epoch
        self._examples.epoch = epoch
        options = self._options
        rate = options.lr_schedule.rate(options.learning_rate, epoch, options.epochs)
        self._network.optimizer.learning_rate = rate
        reseed_generators(self._network, options.random_seed, epoch)

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """Move the bar; refuse to go on with a loss that is no number."""
        figures = logs or {}
        loss = figures.get("loss", 0.0)
        self._check_loss(loss, f"in epoch {self._epoch + 1}, batch {batch + 1}")
        done = self._epoch * self._examples.steps + batch + 1
        self._show(
            done,
            f"epoch {self._epoch + 1}/{self._options.epochs} loss {loss:.3f} "
            f"accuracy {figures.get('accuracy', 0.0):.3f}{self._validated()}",
        )

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Take down what was measured, keep the weights, tell, and stop where it is time."""
        figures = {name: float(value) for name, value in (logs or {}).items()}
        self._check_loss(figures.get("val_loss", 0.0), f"on the validation part, epoch {epoch + 1}")
        figures["learning_rate"] = float(self._network.optimizer.learning_rate)
        figures["seconds"] = time.perf_counter() - self._began
        self.epochs.append(figures)
        watched = figures.get("val_loss", math.nan)
        # Without a validation part the last epoch is as good as any.
        if watched < self._best_loss or math.isnan(watched) or not self._options.best_weights:
            self.best_epoch = epoch + 1
        if watched < self._best_loss:
            self._best_loss = watched
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
        with written(self._folder / STATE) as aside:
            aside.write_text(json.dumps(state))
        for path in self._folder.glob("*.weights.h5"):
            if path.name not in (checkpoint, _best_file(self.best_epoch)):
                path.unlink()
        self._observer.epoch(epoch + 1, figures)
        if self.is_finished:
            self._network.stop_training = True

    def restore_best_weights(self) -> None:
        """Go back to the weights of the best epoch, if that is not the last."""
        if self.best_epoch < len(self.epochs):
            self._network.load_weights(self._folder / _best_file(self.best_epoch))

    def remove_checkpoints(self) -> None:
        """Remove the checkpoints."""
        for path in (self._folder / STATE, *self._folder.glob("*.weights.h5")):
            path.unlink(missing_ok=True)

    def _check_loss(self, loss: float, where: str) -> None:
        if not math.isfinite(loss):
            raise BenchError(
                f"model={self._name}: the loss became {loss} {where}, so nothing is learned any "
                f"more; give a smaller model.learning_rate than {self._options.learning_rate:g}"
            )

    def _save(self, name: str) -> None:
        self._network.save_weights(self._folder / _TEMPORARY)
        (self._folder / _TEMPORARY).replace(self._folder / name)

    def _validated(self) -> str:
        last = self.epochs[-1].get("val_accuracy") if self.epochs else None
        return "" if last is None else f" validation {last:.3f}"


def _best_file(epoch: int) -> str:
    return f"best-{epoch}.weights.h5"
