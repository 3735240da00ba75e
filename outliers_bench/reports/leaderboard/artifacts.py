"""The tables that runs carry as artifacts, whether they lie in a folder or on a server."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit
from urllib.request import url2pathname

if TYPE_CHECKING:
    import pandas as pd
    from mlflow import MlflowClient
    from mlflow.entities import Run

T = TypeVar("T")
_AT_ONCE = 8  # downloads


def per_query(client: MlflowClient, runs: Sequence[Run], metric: str) -> dict[str, pd.Series]:
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
    dict of str to Series
        By run id; float64, indexed by the query's name and ordered by it. Runs without the file,
        without the column, or with a name twice are absent.
    """

    def read(path: Path) -> pd.Series | None:
        found = _column(path, "query", [metric])
        return None if found is None or found.index.has_duplicates else found[metric].sort_index()

    return _read_all(client, runs, "per_query.csv", read)


def per_class(client: MlflowClient, runs: Sequence[Run], metric: str) -> dict[str, pd.DataFrame]:
    """The columns `metric` and `queries` by class, of each run that has them; see `per_query`."""
    return _read_all(
        client, runs, "per_class.csv", lambda path: _column(path, "class", [metric, "queries"])
    )


def _column(path: Path, key: str, columns: Sequence[str]) -> pd.DataFrame | None:
    import pandas as pd

    try:
        # A class may well be called "NA" or "007": names are text, whatever they look like.
        found = pd.read_csv(
            path,
            usecols=[key, *columns],
            dtype={key: "str", **dict.fromkeys(columns, "float64")},
            keep_default_na=False,
            float_precision="round_trip",
        )
    except (OSError, ValueError):  # not there, empty, or without such a column
        return None
    return found.set_index(key)


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
