"""Tracking URIs: invalid ones are refused early, relative ones are made absolute."""

import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from outliers_bench.errors import BenchError
from outliers_bench.tracking.database import backups_of
from outliers_bench.tracking.store import check_uri, experiment_id, open_client, resolve_uri


def test_sqlite_paths_are_relative_to_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert resolve_uri("sqlite:///mlflow.db") == f"sqlite:///{tmp_path}/mlflow.db"
    assert resolve_uri(f"sqlite:///{tmp_path}/a.db") == f"sqlite:///{tmp_path}/a.db"
    assert resolve_uri("http://127.0.0.1:5000") == "http://127.0.0.1:5000"


@pytest.mark.parametrize("uri", ["./mlruns", "mlflow.db", "file:///tmp/mlruns", "", "/tmp/mlruns"])
def test_plain_folders_are_refused(uri):
    with pytest.raises(BenchError, match=r"sqlite:///mlflow\.db"):
        check_uri(uri)


@pytest.mark.parametrize("uri", ["htp://x", "sqlit:///mlflow.db", "htps://host:5000"])
def test_schemes_that_mlflow_does_not_know_are_refused(uri):
    with pytest.raises(BenchError, match="MLflow has no store"):
        check_uri(uri)


@pytest.mark.parametrize("uri", ["postgresql+psycopg2://x/y", "http://x", "databricks://profile"])
def test_other_stores_are_opened_later(uri):
    check_uri(uri)


@pytest.mark.parametrize("uri", ["sqlite:///:memory:", "sqlite://", "sqlite:mlflow.db"])
def test_databases_without_a_file_are_refused(uri):
    with pytest.raises(BenchError, match="names no file"):
        check_uri(uri)


def test_invalid_sqlite_files_are_refused(tmp_path):
    with pytest.raises(BenchError, match="does not exist"):
        check_uri(f"sqlite:///{tmp_path}/nowhere/mlflow.db")
    with pytest.raises(BenchError, match="is a folder"):
        check_uri(f"sqlite:///{tmp_path}")
    (tmp_path / "notes.txt").write_text("this is not a database")
    with pytest.raises(BenchError, match="not a SQLite database"):
        check_uri(f"sqlite:///{tmp_path}/notes.txt")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_folders_that_cannot_be_written_are_refused(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(BenchError, match="cannot write"):
        check_uri(f"sqlite:///{tmp_path}/mlflow.db")


def test_valid_uris_are_accepted(tmp_path):
    (tmp_path / "empty.db").touch()
    for uri in (f"sqlite:///{tmp_path}/empty.db", "https://mlflow.example", "postgresql://db/x"):
        check_uri(uri)


@pytest.mark.parametrize("folder", ["a?b", "a%20b"])
def test_paths_with_special_characters_of_uris_are_refused(tmp_path, monkeypatch, folder):
    (tmp_path / folder).mkdir()
    monkeypatch.chdir(tmp_path / folder)
    with pytest.raises(BenchError, match="cannot use a database at"):
        open_client("sqlite:///mlflow.db")
    assert not list(tmp_path.rglob("*.db*"))


@pytest.mark.slow
def test_a_path_with_unusual_characters_works_for_database_and_artifacts(tmp_path, monkeypatch):
    folder = tmp_path / "a #b 100%, ü"
    folder.mkdir()
    monkeypatch.chdir(folder)
    client = open_client("sqlite:///mlflow.db")
    run = client.create_run(experiment_id(client, "toy"))
    client.log_text(run.info.run_id, "here", "note.txt")
    assert {path.name for path in tmp_path.iterdir()} == {folder.name}
    assert [path.read_text() for path in folder.rglob("note.txt")] == ["here"]
    assert (folder / "mlflow.db").stat().st_size


def test_checking_imports_neither_mlflow_nor_tensorflow():
    code = (
        "import sys, outliers_bench.leaderboard, outliers_bench.sweeps.mlflow_parent as s\n"
        "import outliers_bench.tracking.log_result, outliers_bench.reports.terminal\n"
        "from outliers_bench.tracking.store import check_uri\n"
        "check_uri('sqlite:///mlflow.db')\n"
        "heavy = {'mlflow', 'tensorflow', 'pandas', 'pyarrow', 'PIL', 'matplotlib'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_server_that_does_not_answer_is_reported_at_once():
    with pytest.raises(BenchError, match="no MLflow server answers there"):
        open_client("http://127.0.0.1:9")


class OtherServer(BaseHTTPRequestHandler):
    """A server that is not an MLflow server."""

    status = 200

    def do_GET(self):
        body = b"<html>hello</html>"
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *_):
        pass


@pytest.mark.parametrize("status", [200, 404, 503])
def test_a_server_other_than_mlflow_is_reported(status):
    handler = type("Handler", (OtherServer,), {"status": status})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            with pytest.raises(BenchError, match="no MLflow server answers there") as caught:
                open_client(f"http://127.0.0.1:{server.server_port}")
        finally:
            server.shutdown()
            thread.join()
    assert "\n" not in str(caught.value)
    assert "MLFLOW_HTTP_REQUEST_MAX_RETRIES" not in os.environ


@pytest.mark.slow
def test_two_processes_may_create_the_database_at_once(tmp_path):
    code = (
        "from outliers_bench.tracking.store import open_client, experiment_id\n"
        "client = open_client('sqlite:///mlflow.db')\n"
        "print(experiment_id(client, 'toy'))"
    )
    command = [sys.executable, "-c", code]
    env = {**os.environ, "MLFLOW_RUN_ID": "of-another-program"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    jobs = [subprocess.Popen(command, cwd=tmp_path, env=env, **pipes) for _ in range(2)]
    outputs = [job.communicate() for job in jobs]
    assert [job.returncode for job in jobs] == [0, 0], outputs
    assert outputs[0] == outputs[1]
    assert outputs[0][1] == ""  # no output of MLflow or Alembic


def test_artifacts_are_stored_next_to_the_database(client, uri):
    first = experiment_id(client, "with spaces/and slash")
    experiment = client.get_experiment(first)
    folder = Path(uri.removeprefix("sqlite:///")).parent
    assert experiment.artifact_location == (folder / "mlartifacts/with_spaces_and_slash").as_uri()
    client.delete_experiment(first)
    assert experiment_id(client, "with spaces/and slash") == first
    assert client.get_experiment(first).lifecycle_stage == "active"


@pytest.mark.slow
def test_an_older_database_is_copied_and_migrated(tmp_path):
    from alembic import command
    from alembic.script import ScriptDirectory
    from mlflow.store.db import utils

    uri = f"sqlite:///{tmp_path}/old.db"
    engine = utils.create_sqlalchemy_engine_with_retry(uri)
    utils.InitialBase.metadata.create_all(engine)
    config = utils._get_alembic_config(uri)
    scripts = ScriptDirectory.from_config(config)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, scripts.get_revision("head").down_revision)
        connection.exec_driver_sql(
            "INSERT INTO experiments (name, lifecycle_stage) VALUES ('lynx', 'active')"
        )
    engine.dispose()
    client = open_client(uri)
    assert client.get_experiment_by_name("lynx") is not None
    (backup,) = backups_of(tmp_path / "old.db")
    assert backup.stat().st_size


@pytest.mark.slow
def test_a_database_of_a_newer_mlflow_is_refused(tmp_path):
    import sqlite3

    uri = f"sqlite:///{tmp_path}/new.db"
    open_client(uri)
    with sqlite3.connect(tmp_path / "new.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'fromthefuture'")
    with pytest.raises(BenchError, match="another version of MLflow"):
        open_client(uri)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs Linux's /proc")
def test_a_folder_that_only_seems_writable_is_reported():
    with pytest.raises(BenchError, match=r"cannot be opened; .*/proc/runs\.db\.lock"):
        open_client("sqlite:////proc/runs.db")
