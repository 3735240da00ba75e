"""All the runs a question matches, however many pages MLflow gives them in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

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
