"""Options and recorded runs of the sweeps under test."""

import csv
import sqlite3
from contextlib import closing
from pathlib import Path

from outliers_bench.tracking.store import open_client

DATA = ("data=synthetic", "data.size=16", "k=[1,3]", "model=pixels", "contact_sheets.queries=0")


def all_runs(workdir):
    client = open_client(f"sqlite:///{workdir}/mlflow.db")
    ids = [experiment.experiment_id for experiment in client.search_experiments()]
    return client.search_runs(ids)


def jobs(workdir):
    return [run for run in all_runs(workdir) if run.data.tags["kind"] == "run"]


def parents(workdir):
    return [run for run in all_runs(workdir) if run.data.tags["kind"] == "sweep"]


def table_of(run, name):
    """Return the rows of a table among the artifacts of a run."""
    path = Path(run.info.artifact_uri.removeprefix("file://")) / name
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def finished_ids(workdir):
    """Return the ids of finished jobs, without MLflow, which takes seconds to import."""
    query = """SELECT run_uuid FROM runs JOIN tags USING (run_uuid)
               WHERE status = 'FINISHED' AND key = 'kind' AND tags.value = 'run'"""
    with closing(sqlite3.connect(workdir / "mlflow.db", timeout=30)) as database:
        return {run_id for (run_id,) in database.execute(query)}
