"""Logging of a training in MLflow: curves during the training, the network at its end."""

from __future__ import annotations

import csv
import hashlib
import json
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING

from outliers_bench.reports.curves import plot_training_curves
from outliers_bench.result import RunHandle
from outliers_bench.tracking.active_run import ActiveRun
from outliers_bench.tracking.keras_model import KerasModel
from outliers_bench.tracking.models import MODEL_NAME, link_model, log_model
from outliers_bench.tracking.runs import log_epochs

if TYPE_CHECKING:
    from outliers_bench.runtime.training_observer import TrainedNetwork

LOGGED_BY = "run.txt"  # in a network's folder: its URI in MLflow, the store, the file's digest
EXAMPLE = "example.npy"  # in a network's folder: a training image
_INVALID = re.compile(r"[^\w-]+")  # in names of metrics, models and files
_log = logging.getLogger(__name__)


class MlflowTrainingLogger:
    """A `TrainingObserver` that logs to MLflow.

    Each epoch becomes a step of the run's metrics (`loss`, `accuracy`, `top_5_accuracy`, the same
    with `val_`, `learning_rate`, `epoch_seconds`) as soon as it ends. The trained network becomes
    a model of the run, `runs:/<run id>/model`, once: a later run that reuses the training shows
    the same curves and links to that model.

    Parameters
    ----------
    run : ActiveRun
        The run.
    label : str
        Prefix of metric names, which distinguishes several networks of one run.
    """

    def __init__(self, run: ActiveRun, label: str = "") -> None:
        self._run = run
        self._label = _INVALID.sub("_", label).strip("_")
        self._submitted: dict[int, Future[None]] = {}
        self._warned = False

    def confirm(self) -> RunHandle:
        """Wait until the run is created; see `ActiveRun.confirm`."""
        return self._run.confirm()

    def for_network(self, label: str) -> MlflowTrainingLogger:
        """Return a logger for another network of the same run."""
        return MlflowTrainingLogger(self._run, f"{self._label}_{label}")

    def on_epoch_end(self, number: int, figures: Mapping[str, float]) -> None:
        """Log the metrics of an epoch, without waiting for MLflow.

        Epochs that MLflow fails to log are logged again when the training is done: a gap in a
        chart is no reason to interrupt a training.
        """
        self._warn_once()
        self._submitted[number] = self._run.submit(log_epochs, {number: self._metrics(figures)})

    def on_train_end(self, network: TrainedNetwork) -> None:
        """Log the curves as a picture and a table, and the network as a model.

        Raises
        ------
        BenchError
            If MLflow fails to log them. The network remains in its folder, where the next run
            finds it.
        """
        logged = {number for number, job in self._submitted.items() if job.exception() is None}
        epochs = dict(enumerate(map(self._metrics, network.epochs), 1))
        missing = {number: metrics for number, metrics in epochs.items() if number not in logged}
        self._run.submit(log_epochs, missing).result()
        uri = self._log_or_link(network, metrics=tuple(epochs.get(network.best_epoch, ())))
        with tempfile.TemporaryDirectory() as folder:
            self._write(network, Path(folder))
            self._run.log(
                artifacts=folder,
                tags={
                    self._add_label("model_uri"): uri,
                    self._add_label("trained_by"): uri.split("/")[1],
                },
                metrics={
                    self._add_label("epochs"): float(len(network.epochs)),
                    self._add_label("best_epoch"): float(network.best_epoch),
                },
            )

    def _warn_once(self) -> None:
        errors = [job.exception() for job in self._submitted.values() if job.done()]
        if any(errors) and not self._warned:
            self._warned = True
            _log.warning(
                "some epochs could not be logged to MLflow; they are logged again when the "
                "training is done (%s)",
                next(filter(None, errors)),
            )

    def _add_label(self, name: str) -> str:
        return f"{self._label}_{name}" if self._label else name

    def _metrics(self, figures: Mapping[str, float]) -> dict[str, float]:
        return {
            self._add_label("epoch_seconds" if name == "seconds" else name): float(value)
            for name, value in figures.items()
        }

    def _log_or_link(self, network: TrainedNetwork, *, metrics: tuple[str, ...]) -> str:
        """Return the URI of the network in MLflow, logging it unless an earlier run has."""
        store, note = self.confirm().uri, network.folder / LOGGED_BY
        file, example = network.folder / "model.keras", network.folder / EXAMPLE
        digest = _digest(file)
        known = None if network.fresh else _logged_as(note, store, digest)
        if known and self._run.submit(link_model, known).result():
            return known
        model = KerasModel(
            file=str(file),
            title=network.name,
            classes=network.classes,
            image_size=network.image_size,
            example=str(example) if example.is_file() else None,
            step=network.best_epoch,
            metrics=metrics,
        )
        name = f"{MODEL_NAME}_{self._label}" if self._label else MODEL_NAME
        uri = self._run.submit(log_model, name, model).result()
        temporary = note.with_name(f"{LOGGED_BY}.{os.getpid()}")
        temporary.write_text(f"{uri}\n{store}\n{digest}\n", encoding="utf-8")
        temporary.replace(note)
        return uri

    def _write(self, network: TrainedNetwork, folder: Path) -> None:
        """Write the artifacts of a training to a folder."""
        training = folder / "training" / self._label
        training.mkdir(parents=True)
        shutil.copyfile(network.folder / "summary.txt", training / "summary.txt")
        (training / "classes.json").write_text(json.dumps(network.classes, indent=1))
        columns = ["epoch", *dict.fromkeys(name for epoch in network.epochs for name in epoch)]
        with (training / "training.csv").open("w", newline="") as file:
            table = csv.DictWriter(file, columns)
            table.writeheader()
            for number, epoch in enumerate(network.epochs, 1):
                table.writerow({"epoch": number, **epoch})
        picture = folder / "pictures" / f"{self._add_label('training_curves')}.png"
        picture.parent.mkdir()
        plot_training_curves(network.epochs, network.best_epoch, network.name).save(picture)


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _logged_as(note: Path, store: str, digest: str) -> str | None:
    """Return the URI under which this network was logged in this store, or None."""
    try:
        lines = note.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    known = len(lines) == 3 and lines[1:] == [store, digest] and lines[0].startswith("runs:/")
    return lines[0] if known else None
