"""Trained networks of runs in MLflow, logged once and linked by later runs, by the sender."""

from __future__ import annotations

import hashlib
import importlib
import os
import re
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import numpy as np

from outliers_bench.tracking.records import without_password
from outliers_bench.tracking.runs import add_tags

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel

WEIGHTS = "data/model.keras"  # path of the network in a model folder
MODEL_NAME = "model"  # name of a run's only model
LOGGED_BY = "run.txt"  # in a network's folder: its URI in MLflow, the store, the file's digest
EXAMPLE = "example.npy"  # in a network's folder: a training image
RUN_URI = re.compile(r"runs:/([^/@\s]+)(?:/([^@\s'\"]+?))?/?")
_LONGEST_PARAM = 5000  # characters


def log_or_link_model(
    client: MlflowClient,
    run_id: str,
    *,
    folder: Path,
    name: str,
    network: str,
    fresh: bool,
    title: str,
    classes: Sequence[str],
    image_size: int,
    step: int,
    metrics: Sequence[str],
    tags: Sequence[str],
) -> None:
    """Log a network as a model of the run, or link it if an earlier run has logged it.

    Parameters
    ----------
    client : MlflowClient
    run_id, name : str
        The model's URI is `runs:/<run_id>/<name>`.
    folder : Path
        Folder of `model.keras`, which maps float32 pixels 0..255, shape (n, side, side, 3), to
        class probabilities, and perhaps of `example.npy`, float32, shape (1, side, side, 3).
    network : str
        Folder of the network in the cache, where the URI is noted.
    fresh : bool
        Whether the run trained it.
    title, classes, image_size
        Display name, classes of the outputs in order, and side of the input in pixels.
    step, metrics
        Epoch of its weights, and names of the run's metrics that belong to the model.
    tags : sequence of str
        Names of the tags for the URI of the model, and the id of the run that logged it.
    """
    note = Path(network) / LOGGED_BY
    digest = _digest(folder / "model.keras")
    store = without_password(client.tracking_uri)
    uri = None if fresh else logged_as(note, store, digest)
    is_own = uri is not None and uri.startswith(f"runs:/{run_id}/")  # before a crash
    if uri is None or not (is_own or link_model(client, run_id, uri=uri)):
        metadata = {
            "title": title,
            "image_size": image_size,
            "input": "float32 RGB pixels, 0 to 255",
            "output": "probabilities of the classes, in this order",
            "epoch": step,
            "classes": list(classes),
        }
        logged = _log_model(client, run_id, name, folder, metadata)
        _copy_metrics(client, run_id, logged.model_id, metrics, step)
        uri = f"runs:/{run_id}/{name}"
        with suppress(OSError):  # removed from the cache meanwhile
            temporary = note.with_name(f"{LOGGED_BY}.{os.getpid()}")
            temporary.write_text(f"{uri}\n{store}\n{digest}\n", encoding="utf-8")
            temporary.replace(note)
    add_tags(client, run_id, dict(zip(tags, (uri, uri.split("/")[1]), strict=True)))


def _log_model(
    client: MlflowClient, run_id: str, name: str, network: Path, metadata: dict[str, Any]
) -> LoggedModel:
    """Log a network as the run's model; a model that was half logged is completed.

    The model becomes ready, and an output of the run, only when it is complete.
    """
    from mlflow.entities import LoggedModelOutput, LoggedModelStatus

    if logged := find_logged_model(client, run_id, name):
        return logged
    run = client.get_run(run_id)
    query = f"source_run_id = '{run_id}' and name = '{name}'"
    logged = next(iter(client.search_logged_models([run.info.experiment_id], query)), None)
    if logged is None:
        logged = client.create_logged_model(
            run.info.experiment_id,
            name=name,
            source_run_id=run_id,
            params={key: value[:_LONGEST_PARAM] for key, value in run.data.params.items()},
            model_type="image classifier",
        )
    if logged.status != LoggedModelStatus.READY:
        # Where the network can be linked: /tmp may be small, and a kill leaves nothing there.
        with tempfile.TemporaryDirectory(dir=network) as folder:
            _write_model_folder(Path(folder), network, metadata, run_id, logged.model_id)
            client.log_model_artifacts(logged.model_id, folder)
        client.finalize_logged_model(logged.model_id, "READY")
    client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, metadata["epoch"])])
    return logged


class _StoredNetwork:
    """A network for MLflow to save, whose file exists: it need not be loaded and written again."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def save(self, path: str) -> None:
        link_file(self._file, Path(path))


def _write_model_folder(
    folder: Path, network: Path, metadata: dict[str, Any], run_id: str, model_id: str
) -> None:
    """Write a model folder that `mlflow.keras.load_model` can read."""
    import mlflow.models

    if not hasattr(mlflow.models, "ModelSignature"):  # the sender has imported it without pandas
        importlib.reload(mlflow.models)
    from mlflow.keras import save_model
    from mlflow.types import Schema, TensorSpec

    side, pixel = metadata["image_size"], np.dtype(np.float32)
    example = network / EXAMPLE
    save_model(
        _StoredNetwork(network / "model.keras"),
        str(folder),
        mlflow_model=mlflow.models.Model(
            artifact_path=f"models:/{model_id}", run_id=run_id, model_id=model_id
        ),
        signature=mlflow.models.ModelSignature(
            Schema([TensorSpec(pixel, (-1, side, side, 3))]),
            Schema([TensorSpec(pixel, (-1, len(metadata["classes"])))]),
        ),
        # Two decimals are enough for pixels of 0..255, and take a third of the bytes.
        input_example=(
            np.round(np.load(example).astype(np.float64), 2) if example.is_file() else None
        ),
        pip_requirements=[f"{name}=={version(name)}" for name in ("mlflow", "keras", "tensorflow")],
        metadata=metadata,
    )


def link_file(file: Path, target: Path) -> None:
    """Make a hard link to a file, or a copy on another file system."""
    try:
        target.hardlink_to(file)
    except FileNotFoundError:
        raise
    except OSError:
        shutil.copyfile(file, target)


def _copy_metrics(
    client: MlflowClient, run_id: str, model_id: str, names: Sequence[str], step: int
) -> None:
    """Copy the run's metrics of the model's epoch to the model, as `mlflow.keras.log_model`."""
    from mlflow.entities import Metric

    # With the timestamps of the run; otherwise MLflow would add another point to its curve.
    metrics = [
        Metric(known.key, known.value, known.timestamp, known.step, model_id=model_id)
        for name in names
        for known in client.get_metric_history(run_id, name)
        if known.step == step
    ]
    if metrics:
        client.log_batch(run_id, metrics=metrics)


def link_model(client: MlflowClient, run_id: str, *, uri: str) -> bool:
    """Link a model of an earlier run, `runs:/<run id>/<name>`, as an input of this run.

    Returns
    -------
    bool
        False if it is gone.
    """
    from mlflow.entities import LoggedModelInput, LoggedModelStatus
    from mlflow.exceptions import MlflowException

    match = RUN_URI.fullmatch(uri)
    if match is None:
        return False
    try:
        if client.get_run(match[1]).info.lifecycle_stage == "deleted":
            return False
        logged = find_logged_model(client, match[1], match[2])
    except MlflowException:
        return False
    if logged is None or logged.status != LoggedModelStatus.READY:
        return False
    if (folder := local_folder(logged.artifact_location)) and not (folder / WEIGHTS).is_file():
        return False
    client.log_inputs(run_id, models=[LoggedModelInput(logged.model_id)])
    return True


def find_logged_model(client: MlflowClient, run_id: str, name: str) -> LoggedModel | None:
    """Return the model that a run logged under a name."""
    outputs = client.get_run(run_id).outputs
    for output in outputs.model_outputs if outputs else ():
        logged = client.get_logged_model(output.model_id)
        if logged.name == name:
            return logged
    return None


def local_folder(location: str) -> Path | None:
    """Return the path of a location if it is a local folder."""
    parts = urlsplit(location)
    if not parts.scheme:
        return Path(location)
    if parts.scheme == "file" and parts.netloc in ("", "localhost"):
        return Path(url2pathname(parts.path))
    return None


def logged_as(note: Path, store: str, digest: str) -> str | None:
    """Return the URI under which this network was logged in this store, or None."""
    with suppress(OSError, ValueError):
        uri, *rest = note.read_text(encoding="utf-8").splitlines()
        if rest == [store, digest]:
            return uri
    return None


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
