"""The tables that runs carry as artifacts, whether they lie in a folder or on a server."""

from __future__ import annotations

import csv
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit
from urllib.request import url2pathname

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

T = TypeVar("T")
_AT_ONCE = 8  # downloads


@dataclass(frozen=True, eq=False)
class Scores:
    """What each query scored: their names, ordered, and as many numbers."""

    names: tuple[str, ...]
    values: npt.NDArray[np.float64]


def per_query(client: MlflowClient, runs: Sequence[Run], metric: str) -> dict[str, Scores]:
    """What each query scored in each run.

    Parameters
    ----------
    client : MlflowClient
        From `open_client`.
    runs : sequence of Run
        Finished ones.
    metric : str
        The column to read.

    Returns
    -------
    dict of str to Scores
        By run id. Runs without the file, without the column, or with a name twice are absent.
    """
    known: dict[tuple[str, ...], tuple[str, ...]] = {}  # runs on one split share their names

    def read(path: Path) -> Scores | None:
        rows = _rows(path, "query", [metric])
        if rows is None or len({name for name, _ in rows}) < len(rows):
            return None
        rows.sort()
        names = tuple(name for name, _ in rows)
        values = np.array([value for _, (value,) in rows], dtype=np.float64)
        return Scores(known.setdefault(names, names), values)

    return _read_all(client, runs, "per_query.csv", read)


def per_class(
    client: MlflowClient, runs: Sequence[Run], metric: str
) -> dict[str, dict[str, tuple[float, float]]]:
    """The columns `metric` and `queries` by class, of each run that has them; see `per_query`."""

    def read(path: Path) -> dict[str, tuple[float, float]] | None:
        rows = _rows(path, "class", [metric, "queries"])
        return None if rows is None else {name: (value, n) for name, (value, n) in rows}

    return _read_all(client, runs, "per_class.csv", read)


def _rows(
    path: Path, key: str, columns: Sequence[str]
) -> list[tuple[str, tuple[float, ...]]] | None:
    """Names with their numbers; not by pandas, which takes half a second to import."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = csv.reader(file)
            header = next(rows)
            name, places = header.index(key), [header.index(column) for column in columns]
            return [(row[name], tuple(float(row[at]) for at in places)) for row in rows if row]
    # Not there, empty, without such a column, or cut short.
    except (OSError, StopIteration, ValueError, IndexError, csv.Error):
        return None


def _read_all(
    client: MlflowClient, runs: Sequence[Run], name: str, read: Callable[[Path], T | None]
) -> dict[str, T]:
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(_AT_ONCE) as pool:
        fetched = pool.map(lambda run: _fetch(client, run, name, Path(folder)), runs)
        found: Mapping[str, T | None] = {
            run.info.run_id: None if path is None else read(path)
            for run, path in zip(runs, fetched, strict=True)
        }
    return {run_id: table for run_id, table in found.items() if table is not None}


def _fetch(client: MlflowClient, run: Run, name: str, folder: Path) -> Path | None:
    parts = urlsplit(run.info.artifact_uri)
    if parts.scheme in ("", "file"):
        return Path(url2pathname(parts.path)) / name
    from mlflow.exceptions import MlflowException

    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    target = folder / run.info.run_id
    target.mkdir()
    try:
        return Path(client.download_artifacts(run.info.run_id, name, str(target)))
    except (MlflowException, OSError):
        return None
