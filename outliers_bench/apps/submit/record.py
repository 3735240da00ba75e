"""Records of submissions and responses, on disk and in MLflow."""

from __future__ import annotations

import os
import re
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from outliers_bench.apps.submit.response import is_json
from outliers_bench.errors import BenchError
from outliers_bench.store.files import write_atomically

if TYPE_CHECKING:
    from mlflow import MlflowClient

FOLDER = "submissions"  # artifact folder of a run
MAX_METRICS = 100  # per response
_INVALID_IN_METRIC = re.compile(r"[^\w\-. /]", re.ASCII)


def write_file(path: Path, content: bytes) -> None:
    """Write a file atomically.

    Raises
    ------
    BenchError
        If it cannot be written.
    """
    try:
        with write_atomically(path) as temporary, temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise BenchError(f"cannot write {path}: {reason}; choose another path") from None


def create_new_file(folder: Path, name: str) -> Path:
    """Create an empty file with an unused name, `name.json`, `name-2.json`, ..., and its folder.

    Creating the file reserves the name.

    Raises
    ------
    BenchError
        If the folder cannot be created or is not writable.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(1, 10_000):
            path = folder / (f"{name}.json" if number == 1 else f"{name}-{number}.json")
            try:
                path.touch(exist_ok=False)
            except FileExistsError:
                continue
            return path
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise BenchError(
            f"folder={folder}: submissions cannot be saved there ({reason}); choose another folder"
        ) from None
    raise BenchError(f"folder={folder} is full of submissions; choose another folder")


def save_response(submission: Path, body: bytes) -> Path:
    """Write the response next to the submission: `.answer.json` for JSON, else `.answer.txt`."""
    path = submission.with_suffix(".answer.json" if is_json(body) else ".answer.txt")
    write_file(path, body)
    return path


def metric_names(names: Iterable[str]) -> dict[str, str]:
    """Return unique metric names for the numbers of a response, as MLflow allows few characters.

    Examples
    --------
    >>> metric_names(["hit@1", "top/1"])
    {'hit@1': 'submission/hit_1', 'top/1': 'submission/top/1'}
    """
    metrics: dict[str, str] = {}
    for name in names:
        parts = [part for part in _INVALID_IN_METRIC.sub("_", name).split("/") if part.strip(".")]
        metric = base = "submission/" + ("/".join(parts)[:200] or "score")
        number = 2
        while metric in metrics.values():
            metric, number = f"{base}_{number}", number + 1
        metrics[name] = metric
    return metrics


def log_submission(
    client: MlflowClient,
    run_id: str,
    *,
    files: Mapping[str, str],
    numbers: Mapping[str, float],
    tags: Mapping[str, str],
) -> None:
    """Log a submission with a run, finished or not.

    Parameters
    ----------
    client : MlflowClient
        From `open_client`.
    run_id : str
        Id of the run.
    files : mapping of str to str
        Names under `submissions/` by local path.
    numbers : mapping of str to float
        Values by metric name. Their step is the number of earlier submissions, so that MLflow
        shows several submissions as a curve.
    tags : mapping of str to str
        Tags of the latest submission.
    """
    from mlflow.entities import Metric, RunTag

    step = sum(
        not artifact.path.endswith((".answer.json", ".answer.txt"))
        for artifact in client.list_artifacts(run_id, FOLDER)
    )
    with tempfile.TemporaryDirectory() as folder:
        for file, name in files.items():
            (Path(folder) / name).write_bytes(Path(file).read_bytes())
        client.log_artifacts(run_id, folder, FOLDER)
    now = int(time.time() * 1000)
    metrics = [Metric(name, value, now, step) for name, value in numbers.items()]
    client.log_batch(run_id, metrics=metrics, tags=[RunTag(*tag) for tag in tags.items()])
