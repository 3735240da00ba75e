"""Logging a trained network in MLflow, once; later runs refer to it."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from outliers_bench.tracking.model_folder import WEIGHTS, KerasModel, write_model_folder
from outliers_bench.tracking.models import RUNS, local, output

if TYPE_CHECKING:
    from mlflow import MlflowClient

_LONGEST_PARAM = 5000


def log_model(client: MlflowClient, run_id: str, name: str, model: KerasModel) -> str:
    """Log a network as the run's model, and return its URI; called in the recorder.

    Nobody sees it as ready, nor as the run's, before all of it is there. If that fails, it is
    deleted again.

    Parameters
    ----------
    client : MlflowClient
        From `open_client`.
    run_id, name : str
        The model will be `runs:/<run_id>/<name>`.
    model : KerasModel
        What is logged.
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
    """Say of the model what the run says of its epoch, as `mlflow.keras.log_model` does."""
    from mlflow.entities import Metric

    # With the run's own time: MLflow would add another point to its curve.
    found = [
        Metric(known.key, known.value, known.timestamp, known.step, model_id=model_id)
        for name in model.metrics
        for known in client.get_metric_history(run_id, name)
        if known.step == model.step
    ]
    if found:
        client.log_batch(run_id, metrics=found)


def link_model(client: MlflowClient, run_id: str, uri: str) -> bool:
    """Enter a model of an earlier run as one that this run uses; False where it is gone.

    Parameters
    ----------
    client : MlflowClient
        From `open_client`.
    run_id : str
        The run that uses it.
    uri : str
        From `log_model`.
    """
    from mlflow.entities import LoggedModelInput, LoggedModelStatus
    from mlflow.exceptions import MlflowException

    match = RUNS.fullmatch(uri)
    if match is None:
        return False
    try:
        if client.get_run(match[1]).info.lifecycle_stage == "deleted":
            return False
        found = output(client, match[1], match[2])
    except MlflowException:
        return False
    if found is None or found.status != LoggedModelStatus.READY:
        return False
    if (folder := local(found.artifact_location)) and not (folder / WEIGHTS).is_file():
        return False
    client.log_inputs(run_id, models=[LoggedModelInput(found.model_id)])
    return True
