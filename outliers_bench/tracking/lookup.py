"""Lookup of recorded runs by id or unique prefix, and of their artifacts."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import url2pathname

from outliers_bench.errors import BenchError
from outliers_bench.tracking.store import check_uri, database_path, resolve_uri

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

LAST = "last"
SHORTEST = 4  # digits of an id's prefix
_ID = re.compile(rf"[0-9a-f]{{{SHORTEST},32}}")
_PAGE = 1000  # runs or experiments per request
_LISTED = 5  # runs listed in an error message


@dataclass(frozen=True)
class KnownRun:
    """A finished run in MLflow, as plain values.

    Parameters
    ----------
    run_id, name : str
        Id and name in MLflow.
    tags : mapping of str to str
        Tags by name.
    """

    run_id: str
    name: str
    tags: Mapping[str, str]


def check_store_exists(uri: str) -> None:
    """Check that a store exists, because opening a missing database would create an empty one.

    Parameters
    ----------
    uri : str
        MLflow tracking URI.

    Raises
    ------
    BenchError
        If the URI is not valid, or names a SQLite file that does not exist.
    """
    check_uri(uri)
    path = database_path(uri)
    if path is not None and not path.exists():
        raise BenchError(
            f"no runs yet: there is no {path}; start one with: python -m outliers_bench, or give "
            "the location of your runs with uri=sqlite:///<file>"
        )


def find_run(client: MlflowClient, run: str) -> KnownRun:
    """Find a finished run.

    Parameters
    ----------
    client : MlflowClient
        From `open_client`.
    run : str
        Its id, a unique prefix of the id (four digits or more), or `last` for the run that
        finished last, other than parent runs of sweeps.

    Raises
    ------
    BenchError
        If no run or more than one matches, or it was deleted (the message lists candidates), or
        if it is a sweep or has not finished.
    """
    if run == LAST:
        matches = _finished_runs(client, 1)
    elif _ID.fullmatch(run):
        same_prefix = search_runs(client, f"attributes.run_id LIKE '{run}%'", page=_LISTED + 1)
        matches = list(islice(same_prefix, _LISTED + 1))
    else:
        raise BenchError(
            f"run={run}: give a run's id, its first {SHORTEST} or more digits, or {LAST}; "
            f"{_describe_newest(client)}"
        )
    if len(matches) > 1:
        raise BenchError(
            f"run={run}: matches several runs ({_format_runs(matches)}); give more digits"
        )
    if not matches:
        raise BenchError(f"run={run}: no such run; {_describe_newest(client)}")
    info, tags = matches[0].info, matches[0].data.tags
    name = info.run_name or info.run_id
    if tags.get("kind") == "sweep":
        raise BenchError(f"run={run}: {name} is a sweep; give one of its runs, or {LAST}")
    if info.status != "FINISHED":
        raise BenchError(
            f"run={run}: {name} is {info.status}, and only a finished run has a ranking; "
            f"{_describe_newest(client)}"
        )
    return KnownRun(info.run_id, name, dict(tags))


def download_artifact(client: MlflowClient, run_id: str, path: str, folder: str | Path) -> Path:
    """Return an artifact of a run as a local file.

    Parameters
    ----------
    client : MlflowClient
        From `open_client`.
    run_id : str
        Id of the run.
    path : str
        Path of the artifact, such as `ranking.parquet`.
    folder : str or Path
        Existing folder to download to, if the file is not on this machine.

    Returns
    -------
    Path
        The file. It may be the store's own, so do not write to it.

    Raises
    ------
    BenchError
        If the run has no such artifact, or it cannot be downloaded.
    """
    from mlflow.exceptions import MlflowException

    uri = client.get_run(run_id).info.artifact_uri
    parts = urlsplit(uri)
    if parts.scheme in ("", "file"):
        local = Path(url2pathname(parts.path)) / path
        if not local.is_file():
            raise BenchError(
                f"run {run_id[:8]} has no {path} (expected {local}); if its artifacts were moved, "
                "move them back, otherwise run it again"
            )
        return local
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    try:
        return Path(client.download_artifacts(run_id, path, str(folder)))
    except (MlflowException, OSError) as error:
        message = " ".join(str(error).split())[:200]
        raise BenchError(
            f"run {run_id[:8]}: cannot download {path} from {uri} ({message})"
        ) from None


def _finished_runs(client: MlflowClient, n: int) -> list[Run]:
    """Return the runs that finished last, newest first."""
    query = "tags.kind = 'run' and attributes.status = 'FINISHED'"
    return list(islice(search_runs(client, query, order="attributes.end_time DESC", page=n), n))


def _describe_newest(client: MlflowClient) -> str:
    newest = _finished_runs(client, _LISTED)
    store = resolve_uri(client.tracking_uri)
    if not newest:
        return f"no run has finished in {store}; start one with: python -m outliers_bench"
    return f"the last runs that finished in {store}: {_format_runs(newest)}"


def _format_runs(runs: Sequence[Run]) -> str:
    """List runs, with enough digits of their ids to distinguish them."""
    ids = [run.info.run_id for run in runs]
    digits = next(n for n in range(8, 33) if n == 32 or len({i[:n] for i in ids}) == len(ids))
    items = [
        f"{run.info.run_id[:digits]} {run.info.run_name} on {run.data.tags.get('data', '?')}"
        for run in runs[:_LISTED]
    ]
    return ", ".join(items) + (", ..." if len(runs) > _LISTED else "")


def search_runs(
    client: MlflowClient,
    query: str,
    *,
    experiments: Sequence[str] | None = None,
    order: str = "attributes.start_time ASC",
    page: int = _PAGE,
) -> Iterator[Run]:
    """Iterate over the runs that match a query.

    Parameters
    ----------
    client : MlflowClient
        From `open_client`.
    query : str
        MLflow's filter string.
    experiments : sequence of str or None
        Ids of the experiments to search; None searches all.
    order : str
        MLflow's order-by clause.
    page : int
        Number of runs per request; small if only a few are needed.
    """
    if experiments is None:
        experiments = _all_experiments(client)
    token = None
    while experiments:
        runs = client.search_runs(
            list(experiments), query, max_results=page, order_by=[order], page_token=token
        )
        yield from runs
        token = runs.token
        if not token:
            return


def _all_experiments(client: MlflowClient) -> list[str]:
    ids: list[str] = []
    token = None
    while True:
        page = client.search_experiments(max_results=_PAGE, page_token=token)
        ids.extend(experiment.experiment_id for experiment in page)
        token = page.token
        if not token:
            return ids
