"""Logging of a training in MLflow: curves during the training, the network at its end."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from outliers_bench.reports.curves import plot_training_curves
from outliers_bench.runtime.training_observer import TrainedNetwork, TrainingObserver
from outliers_bench.runtime.visible_text import write_csv
from outliers_bench.tracking.active_run import ActiveRun
from outliers_bench.tracking.logged_models import (
    EXAMPLE,
    MODEL_NAME,
    link_file,
    log_or_link_model,
)
from outliers_bench.tracking.outbox import now
from outliers_bench.tracking.runs import log_epochs

_INVALID = re.compile(r"[^\w-]+")  # in names of metrics, models and files


class MlflowTrainingLogger(TrainingObserver):
    """Observer that logs to MLflow.

    Each epoch becomes a step of the run's metrics (`loss`, `accuracy`, `top_5_accuracy`, the same
    with `val_`, `learning_rate`, `epoch_seconds`) as soon as it ends. The trained network becomes
    a model of the run, `runs:/<run id>/model`, once: a later run that reuses the training shows
    the same curves and links to that model.
    """

    def __init__(self, run: ActiveRun, label: str = "") -> None:
        """Log to a run; the label distinguishes metrics of several networks."""
        self._run = run
        self._label = _INVALID.sub("_", label).strip("_")
        self._logged: set[int] = set()  # epochs

    def for_network(self, label: str) -> MlflowTrainingLogger:
        """Return a logger for another network of the same run."""
        return MlflowTrainingLogger(self._run, f"{self._label}_{label}")

    def on_epoch_end(self, number: int, metrics: Mapping[str, float]) -> None:
        """Log the metrics of an epoch."""
        self._log_epochs({number: metrics})

    def on_train_end(self, network: TrainedNetwork) -> None:
        """Log the curves as a picture and a table, and the network as a model."""
        epochs = dict(enumerate(network.epochs, 1))
        # Those of an interrupted or earlier run.
        self._log_epochs({n: epoch for n, epoch in epochs.items() if n not in self._logged})
        best = self._metrics(epochs.get(network.best_epoch, {}))
        folder = self._run.box.new_folder()
        for name in ("model.keras", EXAMPLE):
            with suppress(FileNotFoundError):
                link_file(network.folder / name, folder / name)
        self._run.add(
            log_or_link_model,
            folder=folder,
            name=self._add_label(MODEL_NAME, last=True),
            network=str(network.folder.absolute()),
            fresh=network.fresh,
            title=network.name,
            classes=network.classes,
            image_size=network.image_size,
            step=network.best_epoch,
            metrics=list(best),
            tags=[self._add_label("model_uri"), self._add_label("trained_by")],
        )
        folder = self._run.box.new_folder()
        self._write(network, folder)
        self._run.log(
            folder,
            tags={},
            metrics={
                self._add_label("epochs"): float(len(network.epochs)),
                self._add_label("best_epoch"): float(network.best_epoch),
            },
        )

    def _log_epochs(self, epochs: Mapping[int, Mapping[str, float]]) -> None:
        if epochs:
            metrics = {str(number): self._metrics(figures) for number, figures in epochs.items()}
            self._run.add(log_epochs, epochs=metrics, time=now())
            self._logged |= epochs.keys()

    def _add_label(self, name: str, *, last: bool = False) -> str:
        parts = (name, self._label) if last else (self._label, name)
        return "_".join(filter(None, parts))

    def _metrics(self, figures: Mapping[str, float]) -> dict[str, float]:
        return {
            self._add_label("epoch_seconds" if name == "seconds" else name): float(value)
            for name, value in figures.items()
        }

    def _write(self, network: TrainedNetwork, folder: Path) -> None:
        """Write the artifacts of a training to a folder."""
        training = folder / "training" / self._label
        training.mkdir(parents=True)
        shutil.copyfile(network.folder / "summary.txt", training / "summary.txt")
        (training / "classes.json").write_text(json.dumps(network.classes, indent=1))
        columns = ["epoch", *dict.fromkeys(name for epoch in network.epochs for name in epoch)]
        with (training / "training.csv").open("w", newline="") as file:
            values = ({"epoch": number, **row} for number, row in enumerate(network.epochs, 1))
            write_csv(file, [columns, *([row.get(name, "") for name in columns] for row in values)])
        picture = folder / "pictures" / f"{self._add_label('training_curves')}.png"
        picture.parent.mkdir()
        plot_training_curves(network.epochs, network.best_epoch, network.name).save(picture)
