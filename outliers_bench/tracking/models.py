"""Trained networks in MLflow: logging, linking, and download by URI."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import url2pathname

from outliers_bench.errors import BenchError
from outliers_bench.models.model_uris import is_model_uri, register_download
from outliers_bench.tracking.keras_model import WEIGHTS, KerasModel, write_model_folder
from outliers_bench.tracking.recorder import get_recorder

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel

    from outliers_bench.config.schema import Config

MODEL_NAME = "model"  # name of a run's only model
_LONGEST_PARAM = 5000  # characters
RUN_URI = re.compile(r"runs:/([^/@\s]+)(?:/([^@\s'\"]+?))?/?")
_MODELS_URI = re.compile(r"models:/([^/@]+)(?:/(\d+)|@([^/@]+))?")
_FORMS = (
    "runs:/<run id>/model, models:/<model id>, models:/<name>/<version> or models:/<name>@<alias>"
)


def check_model_uri(uri: str) -> None:
    """Raise `BenchError` if a model URI is malformed; does not access MLflow."""
    if not (RUN_URI.fullmatch(uri) or _MODELS_URI.fullmatch(uri)):
        raise BenchError(f"model.weights={uri}: not the URI of a model; use {_FORMS}")


def fetch_models(config: Config) -> None:
    """Download the models that a config names by an MLflow URI, and register their files.

    Raises
    ------
    BenchError
        As `download_model`, or if the store cannot be reached.
    """
    for uri in config.model.model_uris:
        target = str(config.cache.path / "fetched")
        path = get_recorder(config.tracking.uri).call(download_model, uri, target)
        register_download(uri, Path(path))
        config.model.check()


def download_model(client: MlflowClient, uri: str, target: str) -> str:
    """Return the `.keras` file of a model in MLflow; called in the recorder.

    Parameters
    ----------
    client : MlflowClient
        From `open_client`.
    uri : str
        `runs:/<run id>/<name>`, where the name defaults to `model`; `models:/<model id>`; or, in
        the model registry, `models:/<name>/<version>` and `models:/<name>@<alias>`.
    target : str
        Folder to download to, created if missing; each model gets a subfolder. Artifacts that are
        in a local folder are not copied.

    Returns
    -------
    str
        Path of the file.

    Raises
    ------
    BenchError
        If the URI is malformed, MLflow has no such run or model, the model is incomplete, its
        files are missing, or it is not a Keras model.
    """
    import yaml
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    check_model_uri(uri)
    location = _location(client, uri)
    folder = local_folder(location)
    if folder is None:
        destination = Path(target) / hashlib.sha256(location.encode()).hexdigest()[:16]
        destination.mkdir(parents=True, exist_ok=True)
        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        try:
            downloaded = download_artifacts(
                artifact_uri=location, dst_path=str(destination), tracking_uri=client.tracking_uri
            )
        except MlflowException as error:
            raise _not_found(client, uri, "this model cannot be downloaded", error) from error
        folder = Path(downloaded)
    if not (folder / "MLmodel").is_file():
        raise _not_found(client, uri, f"there is no model in {location}")
    flavors = yaml.safe_load((folder / "MLmodel").read_text(encoding="utf-8")).get("flavors", {})
    if not {"keras", "tensorflow"} & set(flavors) or not (folder / WEIGHTS).is_file():
        kinds = ", ".join(sorted(set(flavors) - {"python_function"})) or "none"
        raise BenchError(
            f"model.weights={uri}: not a Keras model (its flavors: {kinds}; {WEIGHTS} "
            f"{'exists' if (folder / WEIGHTS).is_file() else 'is missing'}); give a model trained "
            "by model=cnn_scratch or model=transfer, or logged by mlflow.keras.log_model"
        )
    return str(folder / WEIGHTS)


def _location(client: MlflowClient, uri: str) -> str:
    """Return the location of a model's artifacts."""
    from mlflow.entities import LoggedModelStatus
    from mlflow.exceptions import MlflowException

    try:
        if match := RUN_URI.fullmatch(uri):
            run_id, name = match[1], match[2] or MODEL_NAME
            logged = find_logged_model(client, run_id, name)
            if logged is None:  # as MLflow logged models before version 3
                return f"{client.get_run(run_id).info.artifact_uri}/{name}"
        else:
            name, number, alias = _MODELS_URI.fullmatch(uri).groups()  # type: ignore[union-attr]
            if alias:
                number = client.get_model_version_by_alias(name, alias).version
            if number:
                source = client.get_model_version_download_uri(name, number)
                return _location(client, source) if is_model_uri(source) else source
            logged = client.get_logged_model(name)
    except MlflowException as error:
        raise _not_found(client, uri, "there is no such run or model", error) from error
    if logged.status != LoggedModelStatus.READY:
        raise BenchError(
            f"model.weights={uri}: the model is {logged.status.value.lower()}, not complete, "
            "because its run was interrupted; train it again, or give another model"
        )
    return str(logged.artifact_location)


def find_logged_model(client: MlflowClient, run_id: str, name: str) -> LoggedModel | None:
    """Return the model that a run logged under a name."""
    outputs = client.get_run(run_id).outputs
    for find_logged_model in outputs.model_outputs if outputs else ():
        logged = client.get_logged_model(find_logged_model.model_id)
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


def _not_found(
    client: MlflowClient, uri: str, problem: str, error: Exception | None = None
) -> BenchError:
    message = " ".join(str(error).split())[:200] if error else ""
    return BenchError(
        f"model.weights={uri}: {problem} in tracking.uri={client.tracking_uri}; find a run with a "
        f"model in the MLflow UI, or set the tracking.uri that it was recorded in, and use {_FORMS}"
        + (f" (MLflow's message: {message})" if message else "")
    )


def log_model(client: MlflowClient, run_id: str, name: str, model: KerasModel) -> str:
    """Log a network as the run's model and return its URI; called in the recorder.

    The model becomes ready, and an output of the run, only when it is complete. If logging fails,
    it is deleted.

    Parameters
    ----------
    client : MlflowClient
        From `open_client`.
    run_id, name : str
        The model's URI is `runs:/<run_id>/<name>`.
    model : KerasModel
        The network to log.
    """
    from mlflow.entities import LoggedModelOutput

    run = client.get_run(run_id)
    logged = client.create_logged_model(
        run.info.experiment_id,
        name=name,
        source_run_id=run_id,
        params={key: value[:_LONGEST_PARAM] for key, value in run.data.params.items()},
        model_type="image classifier",
    )
    try:
        with tempfile.TemporaryDirectory() as folder:
            write_model_folder(model, Path(folder), run_id=run_id, model_id=logged.model_id)
            client.log_model_artifacts(logged.model_id, folder)
        client.finalize_logged_model(logged.model_id, "READY")
    except BaseException:
        with suppress(Exception):
            client.delete_logged_model(logged.model_id)
        raise
    client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, model.step)])
    _copy_metrics(client, run_id, logged.model_id, model)
    return f"runs:/{run_id}/{name}"


def _copy_metrics(client: MlflowClient, run_id: str, model_id: str, model: KerasModel) -> None:
    """Copy the run's metrics of the model's epoch to the model, as `mlflow.keras.log_model`."""
    from mlflow.entities import Metric

    # With the timestamps of the run; otherwise MLflow would add another point to its curve.
    metrics = [
        Metric(known.key, known.value, known.timestamp, known.step, model_id=model_id)
        for name in model.metrics
        for known in client.get_metric_history(run_id, name)
        if known.step == model.step
    ]
    if metrics:
        client.log_batch(run_id, metrics=metrics)


def link_model(client: MlflowClient, run_id: str, uri: str) -> bool:
    """Link a model of an earlier run as an input of this run; return False if it is gone.

    Parameters
    ----------
    client : MlflowClient
        From `open_client`.
    run_id : str
        Id of the run that uses it.
    uri : str
        From `log_model`.
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
