"""What was sent and answered, on disk and in MLflow."""

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
from outliers_bench.store.files import written

if TYPE_CHECKING:
    from mlflow import MlflowClient

FOLDER = "submissions"  # among a run's artifacts
MOST = 100  # numbers of one answer that become metrics
_NOT_IN_A_METRIC = re.compile(r"[^\w\-. /]", re.ASCII)


def write(path: Path, content: bytes) -> None:
    """Write a file whole or not at all.

    Raises
    ------
    BenchError
        If it cannot be written.
    """
    try:
        with written(path) as aside, aside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise BenchError(f"cannot write {path}: {reason}; name another place") from None


def new_file(folder: Path, name: str) -> Path:
    """A file that is not there yet, in a folder that is made: `name.json`, `name-2.json`, ...

    It is made empty, so that nobody else takes the name.

    Raises
    ------
    BenchError
        If the folder cannot be made or written in.
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
            f"folder={folder}: submissions cannot be kept there ({reason}); name another"
        ) from None
    raise BenchError(f"folder={folder}: it is full of submissions; name another")


def keep_answer(kept: Path, body: bytes) -> Path:
    """Write an answer beside what was sent, `.answer.json` where it is JSON, else `.answer.txt`."""
    path = kept.with_suffix(".answer.json" if is_json(body) else ".answer.txt")
    write(path, body)
    return path


def metric_names(names: Iterable[str]) -> dict[str, str]:
    """What MLflow is to call an answer's numbers; it admits few letters besides ASCII's.

    Examples
    --------
    >>> metric_names(["hit@1", "top/1"])
    {'hit@1': 'submission/hit_1', 'top/1': 'submission/top/1'}
    """
    taken: dict[str, str] = {}
    for name in names:
        parts = [part for part in _NOT_IN_A_METRIC.sub("_", name).split("/") if part.strip(".")]
        legal = base = "submission/" + ("/".join(parts)[:200] or "score")
        number = 2
        while legal in taken.values():
            legal, number = f"{base}_{number}", number + 1
        taken[name] = legal
    return taken


def log_submission(
    client: MlflowClient,
    run_id: str,
    *,
    files: Mapping[str, str],
    numbers: Mapping[str, float],
    tags: Mapping[str, str],
) -> None:
    """Add a submission to a run, finished or not; to be called in the recorder.

    Parameters
    ----------
    client : MlflowClient
        From `open_client`.
    run_id : str
        The run.
    files : mapping of str to str
        Files of this machine, and what they are to be called under `submissions/`.
    numbers : mapping of str to float
        By metric. Their step is the number of earlier submissions, so that several make a curve.
    tags : mapping of str to str
        Of the last submission.
    """
    from mlflow.entities import Metric, RunTag

    before = sum(
        not each.path.endswith((".answer.json", ".answer.txt"))
        for each in client.list_artifacts(run_id, FOLDER)
    )
    with tempfile.TemporaryDirectory() as folder:
        for file, name in files.items():
            (Path(folder) / name).write_bytes(Path(file).read_bytes())
        client.log_artifacts(run_id, folder, FOLDER)
    now = int(time.time() * 1000)
    metrics = [Metric(name, value, now, before) for name, value in numbers.items()]
    client.log_batch(run_id, metrics=metrics, tags=[RunTag(*tag) for tag in tags.items()])
