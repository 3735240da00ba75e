"""Tables among the artifacts of runs, read from a folder or from a server."""

from __future__ import annotations

import csv
import math
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

from outliers_bench.runtime.visible_text import read_csv
from outliers_bench.tracking.logged_models import local_folder

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

T = TypeVar("T")
_MAX_DOWNLOADS = 8  # at once


@dataclass(frozen=True, eq=False)
class QueryScores:
    """Scores of the queries of a run: sorted names, and for each a score, a class and a cluster.

    Classes and clusters are None if they were not recorded.
    """

    names: tuple[str, ...]
    values: npt.NDArray[np.float64]
    classes: tuple[str, ...] | None = None
    clusters: tuple[str, ...] | None = None


def read_query_scores(
    client: MlflowClient, runs: Sequence[Run], metric: str
) -> dict[str, QueryScores]:
    """Read the score of each query in each run, by run id.

    Runs without the file or the column, or with a repeated name, are absent.
    """

    def read(path: Path) -> QueryScores | None:
        table = _read_columns(path, ["query"], [metric], optional=["class", "cluster"])
        if table is None or len(set(table["query"])) < len(table["query"]):
            return None
        order = sorted(range(len(table["query"])), key=table["query"].__getitem__)
        # Runs on the same split share their names in memory.
        names, classes, clusters = (
            tuple(sys.intern(table[name][at]) for at in order) if name in table else None
            for name in ("query", "class", "cluster")
        )
        values = np.array(table[metric], dtype=np.float64)[order]
        return QueryScores(names or (), values, classes, clusters)

    return _read_all(client, runs, "per_query.csv", read)


def read_class_scores(
    client: MlflowClient, runs: Sequence[Run], metric: str
) -> dict[str, dict[str, tuple[float, int]]]:
    """Read the finite mean and the number of queries of each class, of each run that has them."""

    def read(path: Path) -> dict[str, tuple[float, int]] | None:
        table = _read_columns(path, ["class"], [metric, "queries"]) or {"class": []}
        rows = zip(*table.values(), strict=True)
        return {name: (mean, int(n)) for name, mean, n in rows if math.isfinite(mean)} or None

    return _read_all(client, runs, "per_class.csv", read)


def _read_columns(
    path: Path, texts: Sequence[str], numbers: Sequence[str], *, optional: Sequence[str] = ()
) -> dict[str, list[Any]] | None:
    """Read columns of a CSV file by name, in this order; not with pandas, which takes 0.5 s.

    Optional columns are texts. None if the file cannot be read or another column is not there.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            lines = iter(read_csv(file))
            header = next(lines)
            rows = [row for row in lines if row]
        wanted = [*texts, *numbers, *(name for name in optional if name in header)]
        positions = {name: header.index(name) for name in wanted}
        return {
            name: [float(row[at]) if name in numbers else row[at] for row in rows]
            for name, at in positions.items()
        }
    # Missing, empty, without the column, or truncated.
    except (OSError, StopIteration, ValueError, IndexError, csv.Error):
        return None


def _read_all(
    client: MlflowClient, runs: Sequence[Run], name: str, read: Callable[[Path], T | None]
) -> dict[str, T]:
    """Read a file of each run, by run id; runs whose file is missing or invalid are absent."""
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(_MAX_DOWNLOADS) as pool:
        paths = pool.map(lambda run: _fetch(client, run, name, Path(folder)), runs)
        tables: Mapping[str, T | None] = {
            run.info.run_id: None if path is None else read(path)
            for run, path in zip(runs, paths, strict=True)
        }
    return {run_id: table for run_id, table in tables.items() if table is not None}


def _fetch(client: MlflowClient, run: Run, name: str, folder: Path) -> Path | None:
    """Return the local path of an artifact, downloading it if necessary; None if that fails."""
    if store := local_folder(run.info.artifact_uri):
        return store / name
    from mlflow.exceptions import MlflowException

    target = folder / run.info.run_id
    target.mkdir()
    try:
        return Path(client.download_artifacts(run.info.run_id, name, str(target)))
    except (MlflowException, OSError):
        return None
