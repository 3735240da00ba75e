"""Where runs are recorded: checking the tracking URI, opening it, finding the experiment."""

from __future__ import annotations

import logging
import os
import re
import shutil
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from outliers_bench.errors import BenchError

if TYPE_CHECKING:
    from mlflow import MlflowClient

_SQLITE = re.compile(r"^(sqlite(?:\+\w+)?):///([^?]*)(\?.*)?$")
_NOT_LITERAL = re.compile(r"\?|%[0-9a-fA-F]{2}")  # in a URI, another thing than in a path
_HINT = "use tracking.uri=sqlite:///mlflow.db or another file in a folder you can write to"
_SERVER_TIMEOUT = 5.0  # seconds; MLflow's own retries would take minutes
_ANSWER_TIMEOUT = 30  # seconds; a server that has just been started is slow


def resolve_uri(uri: str) -> str:
    """The tracking URI with a SQLite path made absolute; any other URI as it is."""
    match, path = _SQLITE.match(uri), database_path(uri)
    if match is None or path is None:
        return uri
    return f"{match[1]}:///{path}{match[3] or ''}"


def database_path(uri: str) -> Path | None:
    """The SQLite file a tracking URI names, absolute; None for servers and other databases."""
    match = _SQLITE.match(uri)
    if match is None or match[2] in ("", ":memory:"):
        return None
    return Path(match[2]).expanduser().absolute()


def check_uri(uri: str) -> None:
    """Refuse a tracking URI that cannot work, without importing MLflow or touching a network.

    Parameters
    ----------
    uri : str
        MLflow tracking URI; a relative SQLite path counts from the working directory.

    Raises
    ------
    BenchError
        If it is a plain folder (MLflow no longer writes those), lives in memory only, or names a
        SQLite file that cannot be made, written or read as one, or whose path has a `?`, or a `%`
        before two hexadecimal digits: MLflow would record into another file.
    """
    scheme = uri.split(":", 1)[0] if ":" in uri else ""
    if scheme in ("", "file") or len(scheme) == 1:
        raise BenchError(f"tracking.uri={uri}: MLflow records no runs in plain folders; {_HINT}")
    if not scheme.startswith("sqlite"):
        return
    path = database_path(uri)
    if path is None:
        raise BenchError(f"tracking.uri={uri} names no file; {_HINT}")
    if found := _NOT_LITERAL.search(str(path)):
        raise BenchError(
            f"tracking.uri={uri}: MLflow cannot keep a database at {path}, for {found[0]} has a "
            "meaning of its own in its URI; rename the folder or the file, or use "
            "tracking.uri=sqlite:////<another folder>/mlflow.db"
        )
    if path.is_dir():
        raise BenchError(f"tracking.uri={uri}: {path} is a folder, not a file; {_HINT}")
    if not path.parent.is_dir():
        raise BenchError(
            f"tracking.uri={uri}: the folder {path.parent} does not exist; make it, or {_HINT}"
        )
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise BenchError(f"tracking.uri={uri}: cannot write in the folder {path.parent}; {_HINT}")
    if path.exists():
        _check_file(uri, path)


def _check_file(uri: str, path: Path) -> None:
    if not os.access(path, os.R_OK | os.W_OK):
        raise BenchError(f"tracking.uri={uri}: cannot read and write {path}; {_HINT}")
    with path.open("rb") as file:
        start = file.read(16)
    if start and start != b"SQLite format 3\0":
        raise BenchError(f"tracking.uri={uri}: {path} is no SQLite database; {_HINT}")


def open_client(uri: str) -> MlflowClient:
    """Connect to the tracking store; the first call makes or migrates a SQLite database.

    Safe when several processes start at once: one makes the database, the others wait for it. A
    database of an older MLflow is copied to `<file>.before-upgrade` and migrated.

    Parameters
    ----------
    uri : str
        MLflow tracking URI; a relative SQLite path counts from the working directory.

    Raises
    ------
    BenchError
        If `check_uri` refuses the URI, the server does not answer or is not MLflow's, or the
        database cannot be brought to the installed MLflow's schema.
    """
    check_uri(uri)
    uri = resolve_uri(uri)
    prepare_import()
    if uri.startswith(("http://", "https://")):
        _check_server(uri)

    from mlflow import MlflowClient

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    path = database_path(uri)
    with _lock(path):
        try:
            if path is not None and path.exists():
                _migrate_if_older(uri, path)
            client = MlflowClient(uri)
        except Exception as error:
            raise BenchError(
                f"tracking.uri={uri} cannot be opened; if another MLflow made it, name a new file "
                f"with tracking.uri=sqlite:///... (MLflow says: {_one_line(error)})"
            ) from error
    if uri.startswith(("http://", "https://")):
        _check_answers(client, uri)
    return client


def prepare_import() -> None:
    """Set in the environment what MLflow reads when it is imported."""
    # A benchmark on someone's own photos reports to nobody unless they ask for it.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    # Left over from an outer `mlflow run`, this would lend every job the same run.
    os.environ.pop("MLFLOW_RUN_ID", None)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def _check_server(uri: str) -> None:
    parts = urlsplit(uri)
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
        socket.create_connection((parts.hostname or "", port), _SERVER_TIMEOUT).close()
    except (OSError, ValueError) as error:
        raise BenchError(
            f"tracking.uri={uri}: no MLflow server answers there ({error}); start it, or leave "
            "tracking.uri out to record into ./mlflow.db"
        ) from error


def _check_answers(client: MlflowClient, uri: str) -> None:
    """Ask the server one thing, to be told at once if it is another program's."""
    from mlflow.exceptions import MlflowException

    try:
        with _short_timeouts():
            client.search_experiments(max_results=1)
    except (MlflowException, OSError, ValueError, TypeError, AttributeError) as error:
        raise BenchError(
            f"tracking.uri={uri}: what answers there does not speak as an MLflow server does; "
            "start one, correct the address, or leave tracking.uri out to record into "
            f"./mlflow.db (MLflow says: {_one_line(error)})"
        ) from error


@contextmanager
def _short_timeouts() -> Iterator[None]:
    """Let MLflow ask a server once and briefly; of itself it tries for minutes."""
    limits = {
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": f"{_ANSWER_TIMEOUT}",
    }
    before = {name: os.environ.get(name) for name in limits}
    os.environ.update(limits)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _migrate_if_older(uri: str, path: Path) -> None:
    from mlflow.store.db import utils

    with closing(sqlite3.connect(path)) as connection:
        try:
            rows = connection.execute("SELECT version_num FROM alembic_version").fetchall()
        except sqlite3.OperationalError:  # empty: not made yet
            return
    if not rows or rows[0][0] == utils._get_latest_schema_revision():  # type: ignore[no-untyped-call]
        return
    shutil.copy2(path, f"{path}.before-upgrade")
    # What `mlflow db upgrade` calls; there is no public function for it.
    engine = utils.create_sqlalchemy_engine_with_retry(uri)  # type: ignore[no-untyped-call]
    try:
        utils._upgrade_db(engine)  # type: ignore[no-untyped-call]
    finally:
        engine.dispose()


@contextmanager
def _lock(path: Path | None) -> Iterator[None]:
    """Hold the lock file beside a SQLite database; nothing to hold for other stores."""
    try:
        import fcntl
    except ImportError:  # Windows
        fcntl = None  # type: ignore[assignment]
    if path is None or fcntl is None:
        yield
        return
    try:
        file = Path(f"{path}.lock").open("a")  # noqa: SIM115 - closed below
    except OSError as error:  # what the folder's mode admits, the file system may refuse
        raise BenchError(
            f"tracking.uri: cannot write {path}.lock ({error.strerror}); {_HINT}"
        ) from error
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def experiment_id(client: MlflowClient, name: str) -> str:
    """The id of the experiment of that name, made if there is none and restored if deleted.

    Artifacts of a SQLite store lie in `mlartifacts/<name>` beside the database, so that runs find
    them whatever directory they are looked at from. A server decides for itself.

    Parameters
    ----------
    client : MlflowClient
        From `open_client`.
    name : str
        The experiment's name.
    """
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is None:
        path = database_path(client.tracking_uri)
        folder = re.sub(r"[^\w.-]+", "_", name).strip(".") or "experiment"
        place = None if path is None else (path.parent / "mlartifacts" / folder).as_uri()
        try:
            # Without the tag the UI opens an experiment on the page for language models.
            tags = {"mlflow.experimentKind": "custom_model_development"}
            return client.create_experiment(name, artifact_location=place, tags=tags)
        except MlflowException:  # another job made it in between
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    return str(found.experiment_id)
