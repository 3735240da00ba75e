"""Records of submissions and responses, on disk and in MLflow."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from outliers_bench.data.image_files import describe_os_error
from outliers_bench.errors import BenchError
from outliers_bench.store.files import write_atomically

if TYPE_CHECKING:
    from mlflow import MlflowClient

FOLDER = "submissions"  # artifact folder of a run
_INVALID_IN_METRIC = re.compile(r"[^\w\-. /]", re.ASCII)


def write_file(path: Path, content: bytes) -> None:
    """Write a file atomically, and its folder; raise `BenchError` if that is not possible."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with write_atomically(path) as temporary:
            temporary.write_bytes(content)
    except OSError as error:
        raise BenchError(
            f"cannot write {path}: {describe_os_error(error)}; choose another path"
        ) from None


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
    files: Iterable[Path],
    numbers: Mapping[str, float],
    tags: Mapping[str, str],
) -> None:
    """Log the files, numbers and tags of a submission with a run, finished or not.

    The step of the numbers is that of earlier submissions, so that MLflow shows several submissions
    as a curve; the tags are those of the latest one.
    """
    from mlflow.entities import Metric, RunTag

    step = sum(
        not artifact.path.endswith((".answer.json", ".answer.txt"))
        for artifact in client.list_artifacts(run_id, FOLDER)
    )
    for file in files:
        client.log_artifact(run_id, str(file), FOLDER)
    now = int(time.time() * 1000)
    metrics = [Metric(name, value, now, step) for name, value in numbers.items()]
    client.log_batch(run_id, metrics=metrics, tags=[RunTag(*tag) for tag in tags.items()])
