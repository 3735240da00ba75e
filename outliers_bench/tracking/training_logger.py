"""A training in MLflow: its curves while it goes, and the network when it is done."""

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

from outliers_bench.reports.curves import training_curves
from outliers_bench.result import RunHandle
from outliers_bench.tracking.active_run import ActiveRun
from outliers_bench.tracking.keras_model import KerasModel
from outliers_bench.tracking.models import MODEL_NAME, link_model, log_model
from outliers_bench.tracking.runs import log_epochs

if TYPE_CHECKING:
    from outliers_bench.runtime.training_observer import TrainedNetwork

LOGGED_BY = "run.txt"  # in a network's folder: its URI in MLflow, the store, the file's digest
EXAMPLE = "example.npy"  # in a network's folder: an image of its training
_UNFIT = re.compile(r"[^\w-]+")  # for the names of metrics, models and files alike
_log = logging.getLogger(__name__)


class MlflowTrainingLogger:
    """A `Watcher` that records in MLflow.

    Each epoch becomes a step of the run's metrics (`loss`, `accuracy`, `top_5_accuracy`, the same
    with `val_`, `learning_rate`, `epoch_seconds`) as soon as it has ended. The trained network
    becomes a model of the run, `runs:/<run id>/model`, once: a later run whose training was kept
    shows the same curves, and refers to that model.

    Parameters
    ----------
    recording : Recording
        The run.
    label : str
        Tells the figures of several networks of one run apart, by standing before their names.
    """

    def __init__(self, recording: ActiveRun, label: str = "") -> None:
        self._recording = recording
        self._label = _UNFIT.sub("_", label).strip("_")
        self._sent: dict[int, Future[None]] = {}
        self._complained = False

    def confirm(self) -> RunHandle:
        """Wait until the run has begun; see `ActiveRun.confirm`."""
        return self._recording.confirm()

    def named(self, label: str) -> MlflowTrainingLogger:
        """One for another network of the same run."""
        return MlflowTrainingLogger(self._recording, f"{self._label}_{label}")

    def epoch(self, number: int, figures: Mapping[str, float]) -> None:
        """Send the figures of an epoch, without waiting for MLflow.

        What MLflow does not take is sent again when the training is done: that a figure is missing
        from a chart meanwhile is no reason to break a training off.
        """
        self._warn()
        self._sent[number] = self._recording.submit(log_epochs, {number: self._figures(figures)})

    def trained(self, network: TrainedNetwork) -> None:
        """Record the curves as a picture and a table, and the network as a model.

        Raises
        ------
        BenchError
            If MLflow does not take them. The network is in its folder all the same, and the next
            run finds it.
        """
        taken = {number for number, sent in self._sent.items() if sent.exception() is None}
        epochs = dict(enumerate(map(self._figures, network.epochs), 1))
        missing = {number: figures for number, figures in epochs.items() if number not in taken}
        self._recording.submit(log_epochs, missing).result()
        uri = self._log_or_link(network, metrics=tuple(epochs.get(network.best_epoch, ())))
        with tempfile.TemporaryDirectory() as folder:
            self._write(network, Path(folder))
            self._recording.log(
                artifacts=folder,
                tags={self._named("model_uri"): uri, self._named("trained_by"): uri.split("/")[1]},
                metrics={
                    self._named("epochs"): float(len(network.epochs)),
                    self._named("best_epoch"): float(network.best_epoch),
                },
            )

    def _warn(self) -> None:
        failed = [sent.exception() for sent in self._sent.values() if sent.done()]
        if any(failed) and not self._complained:
            self._complained = True
            _log.warning(
                "MLflow does not show every epoch yet; it is told again when the training is "
                "done (%s)",
                next(filter(None, failed)),
            )

    def _named(self, name: str) -> str:
        return f"{self._label}_{name}" if self._label else name

    def _figures(self, figures: Mapping[str, float]) -> dict[str, float]:
        return {
            self._named("epoch_seconds" if name == "seconds" else name): float(value)
            for name, value in figures.items()
        }

    def _log_or_link(self, network: TrainedNetwork, *, metrics: tuple[str, ...]) -> str:
        """The URI of the network in MLflow, logged by this run unless an earlier one has."""
        store, note = self.confirm().uri, network.folder / LOGGED_BY
        file, example = network.folder / "model.keras", network.folder / EXAMPLE
        digest = _digest(file)
        known = None if network.fresh else _logged_as(note, store, digest)
        if known and self._recording.submit(link_model, known).result():
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
        uri = self._recording.submit(log_model, name, model).result()
        beside = note.with_name(f"{LOGGED_BY}.{os.getpid()}")
        beside.write_text(f"{uri}\n{store}\n{digest}\n", encoding="utf-8")
        beside.replace(note)
        return uri

    def _write(self, network: TrainedNetwork, folder: Path) -> None:
        """Write what becomes artifacts of the run."""
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
        picture = folder / "pictures" / f"{self._named('training_curves')}.png"
        picture.parent.mkdir()
        training_curves(network.epochs, network.best_epoch, network.name).save(picture)


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _logged_as(note: Path, store: str, digest: str) -> str | None:
    """The URI under which a run has logged this very network in this store."""
    try:
        lines = note.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    known = len(lines) == 3 and lines[1:] == [store, digest] and lines[0].startswith("runs:/")
    return lines[0] if known else None
