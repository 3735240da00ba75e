"""Trained networks in MLflow, downloaded by URI."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING

from outliers_bench.errors import BenchError
from outliers_bench.models.model_uris import is_model_uri, register_download
from outliers_bench.tracking.logged_models import (
    MODEL_NAME,
    RUN_URI,
    WEIGHTS,
    find_logged_model,
    local_folder,
)
from outliers_bench.tracking.records import without_password
from outliers_bench.tracking.store import connection

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from outliers_bench.config.schema import Config

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
    target = str(config.cache.path / "fetched")
    for uri in config.model.model_uris:
        with connection(config.tracking.uri) as client:
            register_download(uri, Path(download_model(client, uri, target)))
        config.model.check()


def download_model(client: MlflowClient, uri: str, target: str) -> str:
    """Return the path of the `.keras` file of a model in MLflow.

    Parameters
    ----------
    client : MlflowClient
    uri : str
        `runs:/<run id>/<name>`, where the name defaults to `model`; `models:/<model id>`; or, in
        the model registry, `models:/<name>/<version>` and `models:/<name>@<alias>`.
    target : str
        Folder to download to, created if missing; each model gets a subfolder. Artifacts that are
        in a local folder are not copied.

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


def _not_found(
    client: MlflowClient, uri: str, problem: str, error: Exception | None = None
) -> BenchError:
    message = " ".join(str(error).split())[:200] if error else ""
    store = without_password(client.tracking_uri)
    return BenchError(
        f"model.weights={uri}: {problem} in tracking.uri={store}; find a run with a "
        f"model in the MLflow UI, or set the tracking.uri that it was recorded in, and use {_FORMS}"
        + (f" (MLflow's message: {message})" if message else "")
    )
