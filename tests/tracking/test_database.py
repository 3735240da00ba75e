"""SQLite databases that a killed process left half made, or half migrated."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from outliers_bench.tracking import database
from outliers_bench.tracking.database import make_ready
from outliers_bench.tracking.store import experiment_id, open_client


def query(path, statement):
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(statement).fetchall()


@pytest.fixture
def marked(monkeypatch):
    """Skip MLflow's migrations, which take seconds: creating one makes a table `created`."""

    def change(path, function):
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(f"CREATE TABLE IF NOT EXISTS {function.__name__} (id)")
            connection.commit()

    monkeypatch.setattr(database, "_with_engine", change)


def tables(path):
    return {name for (name,) in query(path, "SELECT name FROM sqlite_master")}


@pytest.mark.parametrize(
    "statements",
    [
        "",
        "CREATE TABLE experiments (id); CREATE TABLE runs (id); CREATE TABLE secrets (id)",
        "CREATE TABLE experiments (id); CREATE TABLE alembic_version (version_num);"
        "INSERT INTO alembic_version VALUES ('in the middle')",
    ],
)
@pytest.mark.usefixtures("marked")
def test_a_half_made_database_is_made_again(tmp_path, statements):
    path = tmp_path / "mlflow.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(statements)
    (tmp_path / "mlflow.db-journal").write_text("of the killed process")
    make_ready(path)
    assert tables(path) == {"_initialize_tables"}
    assert [file.name for file in tmp_path.iterdir()] == ["mlflow.db"]


@pytest.mark.usefixtures("marked")
@pytest.mark.parametrize("table", ["experiments", "runs"])
def test_a_database_with_experiments_or_runs_is_migrated(tmp_path, table):
    path = tmp_path / "mlflow.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            f"CREATE TABLE {table} (id); INSERT INTO {table} VALUES (7);"
            "CREATE TABLE alembic_version (version_num);"
            "INSERT INTO alembic_version VALUES ('older')"
        )
    make_ready(path)
    assert "_upgrade_db" in tables(path)
    assert query(path, f"SELECT id FROM {table}") == [(7,)]
    before = tmp_path / "mlflow.db.before-upgrade-older"
    assert "_upgrade_db" not in tables(before)
    assert query(before, f"SELECT id FROM {table}") == [(7,)]


def test_a_kill_during_a_migration_leaves_the_database_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "mlflow.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("CREATE TABLE runs (id); INSERT INTO runs VALUES (7)")
    content = path.read_bytes()

    def fail(aside, _):
        with closing(sqlite3.connect(aside)) as connection:
            connection.executescript("DROP TABLE runs")
        raise OSError("no space left on device")

    monkeypatch.setattr(database, "_with_engine", fail)
    with pytest.raises(OSError, match="no space"):
        make_ready(path)
    assert path.read_bytes() == content
    names = {file.name for file in tmp_path.iterdir()}
    assert names == {"mlflow.db", "mlflow.db.before-upgrade-unknown"}


@pytest.mark.usefixtures("marked")
def test_a_backup_is_never_overwritten(tmp_path):
    path, backup = tmp_path / "mlflow.db", tmp_path / "mlflow.db.before-upgrade-older"
    create = (
        "CREATE TABLE runs (id); INSERT INTO runs VALUES ({});"
        "CREATE TABLE alembic_version (version_num); INSERT INTO alembic_version VALUES ('older')"
    )
    for runs in (7, 8, 8):
        path.unlink(missing_ok=True)
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript(create.format(runs))
        (tmp_path / ".mlflow.db.before-upgrade-older-1234").touch()  # of a killed process
        make_ready(path)
    assert query(backup, "SELECT id FROM runs") == [(7,)]
    assert query(f"{backup}-2", "SELECT id FROM runs") == [(8,)]
    assert {file.name for file in tmp_path.iterdir()} == {
        path.name, backup.name, f"{backup.name}-2",
    }  # fmt: skip


def test_a_database_of_this_version_is_not_changed(empty_database, tmp_path):
    path = shutil.copy(empty_database, tmp_path / "mlflow.db")
    content = path.read_bytes()
    make_ready(path)
    assert path.read_bytes() == content


@pytest.mark.slow
def test_tables_without_a_version_are_what_a_killed_first_start_leaves(tmp_path):
    from mlflow.store.db import utils

    path = tmp_path / "mlflow.db"
    engine = utils.create_sqlalchemy_engine_with_retry(f"sqlite:///{path}")
    utils.InitialBase.metadata.create_all(engine)
    engine.dispose()
    assert "runs" in tables(path)
    client = open_client(f"sqlite:///{path}")
    assert client.get_experiment("0").name == "Default"


def record_run(folder, name="lions"):
    """Record a run with an artifact in the store of a folder; return its id."""
    client = open_client(f"sqlite:///{folder / 'mlflow.db'}")
    run_id = client.create_run(experiment_id(client, name)).info.run_id
    client.log_text(run_id, folder.name, "where.txt")
    return run_id


def artifact(folder, run_id):
    client = open_client(f"sqlite:///{folder / 'mlflow.db'}")
    return Path(client.download_artifacts(run_id, "where.txt")).read_text()


@pytest.fixture
def project(empty_database, tmp_path):
    folder = tmp_path / "Anna's 100% photos"
    folder.mkdir()
    shutil.copy(empty_database, folder / "mlflow.db")
    return folder


def test_artifacts_follow_a_moved_database(project, tmp_path):
    run_id = record_run(project)
    moved = project.rename(tmp_path / "new place")
    assert artifact(moved, run_id) == project.name
    later = record_run(moved)
    assert artifact(moved, later) == "new place"
    assert not project.exists()
    project.touch()  # the old place cannot be made any more
    assert artifact(moved, record_run(moved, name="a new experiment")) == "new place"


def test_a_copy_has_its_own_artifacts(project, tmp_path):
    run_id = record_run(project)
    copy = shutil.copytree(project, tmp_path / "copy")
    assert artifact(copy, record_run(copy)) == "copy"
    shutil.rmtree(project / "mlartifacts" / "lions" / run_id)
    assert artifact(copy, run_id) == project.name
    assert artifact(project, record_run(project)) == project.name


def test_only_locations_next_to_a_database_follow_it(project, tmp_path):
    client = open_client(f"sqlite:///{project / 'mlflow.db'}")
    elsewhere = tmp_path / "disk" / "mlartifacts" / "shared"
    elsewhere.mkdir(parents=True)
    locations = ["s3://bucket/mlartifacts/x", elsewhere.as_uri(), (tmp_path / "own").as_uri()]
    ids = [client.create_experiment(each, artifact_location=each) for each in locations]
    (tmp_path / "link").symlink_to(project)
    record_run(tmp_path / "link")
    moved = shutil.copytree(project, tmp_path / "moved")
    client = open_client(f"sqlite:///{moved / 'mlflow.db'}")
    assert [client.get_experiment(each).artifact_location for each in ids] == locations


def test_a_database_that_is_moved_alone_leaves_its_artifacts(project, tmp_path):
    run_id = record_run(project)
    (tmp_path / "new").mkdir()
    (project / "mlflow.db").rename(tmp_path / "new" / "mlflow.db")
    assert artifact(tmp_path / "new", run_id) == project.name
