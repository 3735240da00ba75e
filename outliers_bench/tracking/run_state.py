"""State of a run in MLflow, looked up without importing MLflow, which takes seconds."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from typing import Literal

from outliers_bench.tracking.store import database_path

RunState = Literal["active", "deleted", "missing"]
GONE = ("deleted", "missing")

_RUN_ID = re.compile(r"[0-9a-f]{32}")
_TIMEOUTS = (2.0, 5.0)  # seconds; a search also works without the server


def run_state(uri: str, run_id: str) -> RunState | None:
    """Return the state of a run in a tracking store.

    Parameters
    ----------
    uri : str
        Absolute tracking URI.
    run_id : str
        Id of a run, or the key of one that is not delivered yet.

    Returns
    -------
    {"active", "deleted", "missing"} or None
        `missing` if the store has no such run, as after `mlflow gc`; None if that cannot be seen:
        the run is not delivered, there is no answer, or the store is a database server.
    """
    if not _RUN_ID.fullmatch(run_id):
        return None
    path = database_path(uri)
    if path is not None:
        try:
            query = "SELECT lifecycle_stage FROM runs WHERE run_uuid = ?"
            with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as database:
                row = database.execute(query, (run_id,)).fetchone()
        except sqlite3.Error:
            return None
        return "missing" if row is None else _known(row[0])
    if uri.startswith(("http://", "https://")):
        return _on_server(uri, run_id)
    return None


def _on_server(uri: str, run_id: str) -> RunState | None:
    import os

    import requests

    token = os.environ.get("MLFLOW_TRACKING_TOKEN")
    user = os.environ.get("MLFLOW_TRACKING_USERNAME")
    password = os.environ.get("MLFLOW_TRACKING_PASSWORD", "")
    try:
        response = requests.get(
            f"{uri.rstrip('/')}/api/2.0/mlflow/runs/get",
            params={"run_id": run_id},
            headers={"Authorization": f"Bearer {token}"} if token and not user else {},
            auth=(user, password) if user else None,
            timeout=_TIMEOUTS,
        )
        content = response.json()
        if content.get("error_code") == "RESOURCE_DOES_NOT_EXIST":
            return "missing"
        return _known(content["run"]["info"]["lifecycle_stage"])
    except (requests.RequestException, ValueError, LookupError, AttributeError, TypeError):
        return None


def _known(stage: object) -> RunState:
    return "deleted" if stage == "deleted" else "active"
