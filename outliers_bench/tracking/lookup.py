"""Lookup of recorded runs by id or unique prefix, and of their artifacts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from outliers_bench.errors import BenchError
from outliers_bench.runtime.units import list_first
from outliers_bench.tracking.store import check_uri, database_path, one_line, resolve_uri

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

LAST = "last"
SHORTEST = 4  # digits of an id's prefix
_ID = re.compile(rf"[0-9a-f]{{{SHORTEST},32}}")
_PAGE = 1000  # runs or experiments per request
_LISTED = 5  # runs listed in an error message


def check_store_exists(uri: str) -> None:
    """Check a tracking URI; a missing database is an error, as opening it would create it."""
    check_uri(uri)
    path = database_path(uri)
    if path is not None and not path.exists():
        raise BenchError(
            f"no runs yet: there is no {path}; start one with: python -m outliers_bench, or give "
            "the location of your runs with uri=sqlite:///<file>"
        )


def find_run(client: MlflowClient, run: str) -> Run:
    """Find a finished run.

    Parameters
    ----------
    client : MlflowClient
    run : str
        Its id, a unique prefix of the id (four digits or more), or `last` for the run that
        finished last, other than parent runs of sweeps.

    Raises
    ------
    BenchError
        If no run or more than one matches, or it was deleted (the message lists candidates), or
        if it is a sweep or has not finished.
    """
    query = f"attributes.run_id LIKE '{run}%'"
    if run == LAST:
        matches = _finished_runs(client, 1)
    elif _ID.fullmatch(run):
        same_prefix = search_runs(client, query, page=_LISTED + 1)
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
        deleted = run != LAST and next(search_runs(client, query, page=1, deleted=True), None)
        problem = f"{deleted.info.run_name} was deleted in MLflow" if deleted else "no such run"
        raise BenchError(f"run={run}: {problem}; {_describe_newest(client)}")
    (found,) = matches
    name = found.info.run_name
    if found.data.tags.get("kind") == "sweep":
        raise BenchError(f"run={run}: {name} is a sweep; give one of its runs, or {LAST}")
    if found.data.tags.get("kind") == "repeated run":
        raise BenchError(f"run={run}: {name} has several splits; give the run on one, or {LAST}")
    if found.info.status != "FINISHED":
        raise BenchError(
            f"run={run}: {name} is {found.info.status}, and only a finished run has a ranking; "
            f"{_describe_newest(client)}"
        )
    return found


def download_artifact(client: MlflowClient, run_id: str, path: str, folder: str | Path) -> Path:
    """Download an artifact of a run, such as `ranking.parquet`, to an existing folder.

    Raises
    ------
    BenchError
        If the run has no such artifact, or it cannot be downloaded.
    """
    from mlflow.exceptions import MlflowException

    try:
        return Path(client.download_artifacts(run_id, path, str(folder)))
    except (MlflowException, OSError) as error:
        raise BenchError(
            f"run {run_id[:8]}: cannot get {path} ({one_line(error)}); if its artifacts were "
            "moved, move them back, otherwise run it again"
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
        for run in runs
    ]
    return list_first(items, _LISTED)


def search_runs(
    client: MlflowClient,
    query: str,
    *,
    experiments: Sequence[str] | None = None,
    order: str = "attributes.start_time ASC",
    page: int = _PAGE,
    deleted: bool = False,
) -> Iterator[Run]:
    """Iterate over the runs that match a query, without those that were deleted.

    Parameters
    ----------
    client : MlflowClient
    query : str
        MLflow's filter string.
    experiments : sequence of str or None
        Ids of the experiments to search; None searches all.
    order : str
        MLflow's order-by clause.
    page : int
        Number of runs per request; small if only a few are needed.
    deleted : bool
        Iterate over the deleted runs instead, those of deleted experiments included.
    """
    from mlflow.entities import ViewType

    if experiments is None:
        view = ViewType.ALL if deleted else ViewType.ACTIVE_ONLY
        every = _pages(client.search_experiments, max_results=_PAGE, view_type=view)
        experiments = [experiment.experiment_id for experiment in every]
    if experiments:
        yield from _pages(
            client.search_runs,
            experiment_ids=list(experiments),
            filter_string=query,
            run_view_type=ViewType.DELETED_ONLY if deleted else ViewType.ACTIVE_ONLY,
            max_results=page,
            order_by=[order],
        )


def _pages(request: Any, **arguments: object) -> Iterator[Any]:  # noqa: ANN401
    """Iterate over the results of a request of MLflow's client, page by page."""
    token = None
    while True:
        page = request(page_token=token, **arguments)
        yield from page
        token = page.token
        if not token:
            return
