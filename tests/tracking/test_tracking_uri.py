"""Tracking URIs: refused early where they cannot work, made absolute where they are relative."""

import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from outliers_bench.errors import BenchError
from outliers_bench.tracking.store import check_uri, experiment_id, open_client, resolve_uri


def test_relative_sqlite_paths_count_from_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert resolve_uri("sqlite:///mlflow.db") == f"sqlite:///{tmp_path}/mlflow.db"
    assert resolve_uri(f"sqlite:///{tmp_path}/a.db") == f"sqlite:///{tmp_path}/a.db"
    assert resolve_uri("http://127.0.0.1:5000") == "http://127.0.0.1:5000"


@pytest.mark.parametrize("uri", ["./mlruns", "mlflow.db", "file:///tmp/mlruns", "", "/tmp/mlruns"])
def test_plain_folders_are_refused(uri):
    with pytest.raises(BenchError, match=r"sqlite:///mlflow\.db"):
        check_uri(uri)


@pytest.mark.parametrize("uri", ["sqlite:///:memory:", "sqlite://", "sqlite:mlflow.db"])
def test_databases_without_a_file_are_refused(uri):
    with pytest.raises(BenchError, match="names no file"):
        check_uri(uri)


def test_impossible_sqlite_files_are_refused(tmp_path):
    with pytest.raises(BenchError, match="does not exist"):
        check_uri(f"sqlite:///{tmp_path}/nowhere/mlflow.db")
    with pytest.raises(BenchError, match="is a folder"):
        check_uri(f"sqlite:///{tmp_path}")
    (tmp_path / "notes.txt").write_text("this is no database at all")
    with pytest.raises(BenchError, match="no SQLite database"):
        check_uri(f"sqlite:///{tmp_path}/notes.txt")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_folders_that_cannot_be_written_are_refused(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(BenchError, match="cannot write"):
        check_uri(f"sqlite:///{tmp_path}/mlflow.db")


def test_what_can_work_passes(tmp_path):
    (tmp_path / "empty.db").touch()
    for uri in (f"sqlite:///{tmp_path}/empty.db", "https://mlflow.example", "postgresql://db/x"):
        check_uri(uri)


@pytest.mark.parametrize("folder", ["a?b", "a%20b"])
def test_paths_that_mean_something_else_in_a_uri_are_refused(tmp_path, monkeypatch, folder):
    (tmp_path / folder).mkdir()
    monkeypatch.chdir(tmp_path / folder)
    with pytest.raises(BenchError, match="cannot keep a database at"):
        open_client("sqlite:///mlflow.db")
    assert not list(tmp_path.rglob("*.db*"))


@pytest.mark.slow
def test_a_path_with_other_odd_characters_holds_database_and_artifacts(tmp_path, monkeypatch):
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


def test_a_server_that_does_not_answer_is_named_at_once():
    with pytest.raises(BenchError, match="no MLflow server answers"):
        open_client("http://127.0.0.1:9")


class Stranger(BaseHTTPRequestHandler):
    """A server that is not MLflow's."""

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
def test_a_server_that_is_not_mlflows_is_named(status):
    handler = type("Handler", (Stranger,), {"status": status})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            with pytest.raises(BenchError, match="does not speak as an MLflow server") as caught:
                open_client(f"http://127.0.0.1:{server.server_port}")
        finally:
            server.shutdown()
            thread.join()
    assert "\n" not in str(caught.value)
    assert "MLFLOW_HTTP_REQUEST_MAX_RETRIES" not in os.environ


@pytest.mark.slow
def test_two_processes_may_make_the_database_at_once(tmp_path):
    code = (
        "from outliers_bench.tracking.store import open_client, experiment_id\n"
        "client = open_client('sqlite:///mlflow.db')\n"
        "print(experiment_id(client, 'toy'))"
    )
    command = [sys.executable, "-c", code]
    env = {**os.environ, "MLFLOW_RUN_ID": "of-somebody-else"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    jobs = [subprocess.Popen(command, cwd=tmp_path, env=env, **pipes) for _ in range(2)]
    outputs = [job.communicate() for job in jobs]
    assert [job.returncode for job in jobs] == [0, 0], outputs
    assert outputs[0] == outputs[1]
    assert outputs[0][1] == ""  # nothing of MLflow's or Alembic's on the terminal


def test_experiments_keep_their_artifacts_beside_the_database(client, uri):
    first = experiment_id(client, "with spaces/and slash")
    found = client.get_experiment(first)
    folder = Path(uri.removeprefix("sqlite:///")).parent
    assert found.artifact_location == (folder / "mlartifacts/with_spaces_and_slash").as_uri()
    client.delete_experiment(first)
    assert experiment_id(client, "with spaces/and slash") == first
    assert client.get_experiment(first).lifecycle_stage == "active"


@pytest.mark.slow
def test_an_older_database_is_migrated_and_a_copy_kept(tmp_path):
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
    engine.dispose()
    client = open_client(uri)
    assert client.get_experiment("0").name == "Default"
    assert (tmp_path / "old.db.before-upgrade").stat().st_size


@pytest.mark.slow
def test_a_database_of_a_newer_mlflow_is_refused(tmp_path):
    import sqlite3

    uri = f"sqlite:///{tmp_path}/new.db"
    open_client(uri)
    with sqlite3.connect(tmp_path / "new.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'fromthefuture'")
    with pytest.raises(BenchError, match="another MLflow"):
        open_client(uri)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs Linux's /proc")
def test_a_folder_that_only_seems_writable_is_told():
    with pytest.raises(BenchError, match=r"cannot write /proc/runs\.db\.lock"):
        open_client("sqlite:////proc/runs.db")
