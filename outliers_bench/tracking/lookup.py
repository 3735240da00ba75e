"""A run that was recorded earlier, by its id or a beginning of it; and what it left behind."""

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

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

LAST = "last"
SHORTEST = 4  # digits of an id that may stand for it
_ID = re.compile(rf"[0-9a-f]{{{SHORTEST},32}}")
_NAMED = 5  # runs that a message names


@dataclass(frozen=True)
class KnownRun:
    """A finished run in MLflow, as plain values.

    Parameters
    ----------
    run_id, name : str
        As MLflow shows them.
    tags : mapping of str to str
        By name.
    """

    run_id: str
    name: str
    tags: Mapping[str, str]


def check_store_exists(uri: str) -> None:
    """Refuse a store in which nothing can be recorded yet; opening it would make an empty one.

    Parameters
    ----------
    uri : str
        MLflow tracking URI.

    Raises
    ------
    BenchError
        If it cannot be a store, or names a SQLite file that is not there.
    """
    check_uri(uri)
    path = database_path(uri)
    if path is not None and not path.exists():
        raise BenchError(
            f"no runs yet: there is no {path}; make one with: python -m outliers_bench, or say "
            "where they are with uri=sqlite:///<file>"
        )


def find_run(client: MlflowClient, run: str) -> KnownRun:
    """Find a finished run; to be called in the recorder.

    Parameters
    ----------
    client : MlflowClient
        From `open_client`.
    run : str
        Its id, a beginning of the id that no other run shares (four digits or more), or `last`
        for the one that finished last, sweeps' own runs not counted.

    Raises
    ------
    BenchError
        If no run or several are meant, or it was deleted; says which there are. If it is a sweep,
        or has not finished.
    """
    if run == LAST:
        found = _finished_runs(client, 1)
    elif _ID.fullmatch(run):
        alike = search_runs(client, f"attributes.run_id LIKE '{run}%'", page=_NAMED + 1)
        found = list(islice(alike, _NAMED + 1))
    else:
        raise BenchError(
            f"run={run}: give a run's id, {SHORTEST} or more digits that it begins with, or "
            f"{LAST}; {_describe_newest(client)}"
        )
    if len(found) > 1:
        raise BenchError(f"run={run}: several begin so ({_format_runs(found)}); give more digits")
    if not found:
        raise BenchError(f"run={run}: no such run; {_describe_newest(client)}")
    info, tags = found[0].info, found[0].data.tags
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
    """One artifact of a run as a file of this machine; to be called in the recorder.

    Parameters
    ----------
    client : MlflowClient
        From `open_client`.
    run_id : str
        The run.
    path : str
        The artifact, such as `ranking.parquet`.
    folder : str or Path
        Exists; the file is put there, unless it lies on this machine already.

    Returns
    -------
    Path
        The file, which may be the store's own: to be read, not written.

    Raises
    ------
    BenchError
        If the run has no such artifact, or it cannot be fetched.
    """
    from mlflow.exceptions import MlflowException

    uri = client.get_run(run_id).info.artifact_uri
    parts = urlsplit(uri)
    if parts.scheme in ("", "file"):
        local = Path(url2pathname(parts.path)) / path
        if not local.is_file():
            raise BenchError(
                f"run {run_id[:8]} has no {path} (looked for {local}); if its artifacts were "
                "moved, put them back, else run it again"
            )
        return local
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    try:
        return Path(client.download_artifacts(run_id, path, str(folder)))
    except (MlflowException, OSError) as error:
        said = " ".join(str(error).split())[:200]
        raise BenchError(f"run {run_id[:8]}: cannot fetch {path} from {uri} ({said})") from None


def _finished_runs(client: MlflowClient, n: int) -> list[Run]:
    """The runs that finished last, that one first."""
    query = "tags.kind = 'run' and attributes.status = 'FINISHED'"
    return list(islice(search_runs(client, query, order="attributes.end_time DESC", page=n), n))


def _describe_newest(client: MlflowClient) -> str:
    newest = _finished_runs(client, _NAMED)
    where = resolve_uri(client.tracking_uri)
    if not newest:
        return f"no run has finished in {where}; make one with: python -m outliers_bench"
    return f"the last that finished in {where}: {_format_runs(newest)}"


def _format_runs(runs: Sequence[Run]) -> str:
    """Runs with as many digits of their ids as tell them apart."""
    ids = [run.info.run_id for run in runs]
    digits = next(n for n in range(8, 33) if n == 32 or len({each[:n] for each in ids}) == len(ids))
    shown = [
        f"{run.info.run_id[:digits]} {run.info.run_name} on {run.data.tags.get('data', '?')}"
        for run in runs[:_NAMED]
    ]
    return ", ".join(shown) + (", ..." if len(runs) > _NAMED else "")


_PAGE = 1000


def search_runs(
    client: MlflowClient,
    query: str,
    *,
    experiments: Sequence[str] | None = None,
    order: str = "attributes.start_time ASC",
    page: int = _PAGE,
) -> Iterator[Run]:
    """Go through the runs that match.

    Parameters
    ----------
    client : MlflowClient
        From `open_client`.
    query : str
        MLflow's filter string.
    experiments : sequence of str or None
        Ids of the experiments to look in; None looks in all.
    order : str
        MLflow's order-by clause.
    page : int
        How many to ask for at a time: where only a few are wanted, so many.
    """
    if experiments is None:
        experiments = _all_experiments(client)
    token = None
    while experiments:
        found = client.search_runs(
            list(experiments), query, max_results=page, order_by=[order], page_token=token
        )
        yield from found
        token = found.token
        if not token:
            return


def _all_experiments(client: MlflowClient) -> list[str]:
    found: list[str] = []
    token = None
    while True:
        page = client.search_experiments(max_results=_PAGE, page_token=token)
        found.extend(experiment.experiment_id for experiment in page)
        token = page.token
        if not token:
            return found
