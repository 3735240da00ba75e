"""Runs that were deleted in MLflow, seen without importing it."""

import json
import sqlite3
from contextlib import closing

import pytest

from outliers_bench.tracking.run_state import run_state
from outliers_bench.tracking.store import experiment_id, open_client
from tests.servers import Reply, serving


def test_in_a_database(fresh_uri):
    client = open_client(fresh_uri)
    experiment = experiment_id(client, "lions")
    active, deleted, gone = (client.create_run(experiment).info.run_id for _ in range(3))
    client.delete_run(deleted)
    with closing(sqlite3.connect(fresh_uri.removeprefix("sqlite:///"))) as database, database:
        database.execute("DELETE FROM runs WHERE run_uuid = ?", (gone,))  # as `mlflow gc` does
    states = [run_state(fresh_uri, each) for each in (active, deleted, gone, "t0123")]
    assert states == ["active", "deleted", "missing", None]
    client.delete_experiment(experiment)
    assert run_state(fresh_uri, active) == "deleted"
    assert run_state(f"{fresh_uri}.not-there", active) is None
    assert run_state("postgresql://host/db", active) is None


RUN = "a" * 32


@pytest.mark.parametrize(
    ("status", "content", "state"),
    [
        (200, {"run": {"info": {"lifecycle_stage": "active"}}}, "active"),
        (200, {"run": {"info": {"lifecycle_stage": "deleted"}}}, "deleted"),
        (404, {"error_code": "RESOURCE_DOES_NOT_EXIST"}, "missing"),
        (401, {"error_code": "UNAUTHENTICATED"}, None),
        (500, ["nonsense"], None),
    ],
)
def test_on_a_server(status, content, state, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "secret")
    with serving(lambda _: Reply(status, json.dumps(content).encode())) as server:
        assert run_state(server.url, RUN) == state
    (request,) = server.requests
    assert request.path == f"/api/2.0/mlflow/runs/get?run_id={RUN}"
    assert request.headers["authorization"] == "Bearer secret"
    assert run_state(server.url, RUN) is None  # no server any more
