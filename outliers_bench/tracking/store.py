"""The tracking store: checks of its URI, connection, and experiments."""

from __future__ import annotations

import logging
import os
import re
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from outliers_bench.data.image_files import absolute_path
from outliers_bench.errors import BenchError
from outliers_bench.runtime.lock import hold_lock
from outliers_bench.tracking.database import backups_of, make_ready, relocate_artifacts

if TYPE_CHECKING:
    from mlflow import MlflowClient

_SQLITE = re.compile(r"^(sqlite(?:\+\w+)?):///([^?]*)(\?.*)?$")
_NOT_LITERAL = re.compile(r"\?|%[0-9a-fA-F]{2}")  # means something else in a URI than in a path
_SCHEMES = (
    *("sqlite", "http", "https", "postgresql", "mysql", "mssql"),
    *("databricks", "databricks-uc", "uc"),
)
_HINT = "use tracking.uri=sqlite:///mlflow.db or another file in a folder you can write to"
_SERVER_TIMEOUT = 5.0  # seconds
# One request, as a repeated one could create a run twice, unseen; by default, MLflow retries for
# minutes. A server that has just started is slow.
LIMITS = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": "20"}


def resolve_uri(uri: str) -> str:
    """Make the path of a SQLite tracking URI absolute; return any other URI as it is."""
    match, path = _SQLITE.match(uri), database_path(uri)
    if match is None or path is None:
        return uri
    return f"{match[1]}:///{path}{match[3] or ''}"


def database_path(uri: str) -> Path | None:
    """Return the absolute path of a SQLite tracking URI; None for servers and other databases."""
    match = _SQLITE.match(uri)
    if match is None or match[2] in ("", ":memory:"):
        return None
    return absolute_path(match[2], "tracking.uri")


def check_uri(uri: str) -> None:
    """Check a tracking URI, without importing MLflow or accessing the network.

    Raises
    ------
    BenchError
        If it is a plain folder (MLflow no longer writes those), has a scheme that neither MLflow
        nor an installed plugin knows, is an in-memory database, or names
        a SQLite file that cannot be created, written or read, or whose path contains a `?`, or a
        `%` before two hexadecimal digits: MLflow would record into another file.
    """
    scheme = uri.split(":", 1)[0] if ":" in uri else ""
    if scheme in ("", "file") or len(scheme) == 1:
        raise BenchError(
            f"tracking.uri={uri}: MLflow does not record runs in plain folders; {_HINT}"
        )
    kind = scheme.partition("+")[0]
    if kind not in _SCHEMES and not any(
        plugin.name == scheme for plugin in entry_points(group="mlflow.tracking_store")
    ):
        raise BenchError(
            f"tracking.uri={uri}: MLflow has no store {scheme}: "
            f"(available: {', '.join(_SCHEMES)}); {_HINT}"
        )
    if kind != "sqlite":
        return
    path = database_path(uri)
    if path is None:
        raise BenchError(f"tracking.uri={uri} names no file; {_HINT}")
    if special := _NOT_LITERAL.search(str(path)):
        raise BenchError(
            f"tracking.uri={uri}: MLflow cannot use a database at {path}, because {special[0]} has "
            "a special meaning in its URI; rename the folder or the file, or use "
            "tracking.uri=sqlite:////<another folder>/mlflow.db"
        )
    if path.is_dir():
        raise BenchError(f"tracking.uri={uri}: {path} is a folder, not a file; {_HINT}")
    if not path.parent.is_dir():
        raise BenchError(
            f"tracking.uri={uri}: the folder {path.parent} does not exist; create it, or {_HINT}"
        )
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise BenchError(f"tracking.uri={uri}: cannot write in the folder {path.parent}; {_HINT}")
    if not path.exists():
        return
    if not os.access(path, os.R_OK | os.W_OK):
        raise BenchError(f"tracking.uri={uri}: cannot read and write {path}; {_HINT}")
    with path.open("rb") as file:
        start = file.read(16)
    if start and start != b"SQLite format 3\0":
        raise BenchError(f"tracking.uri={uri}: {path} is not a SQLite database; {_HINT}")


def open_client(uri: str) -> MlflowClient:
    """Connect to the tracking store; the first call creates or migrates a SQLite database.

    Safe if several processes start at once: one creates the database, the others wait for it. See
    `make_ready`.

    Raises
    ------
    BenchError
        If `check_uri` rejects the URI, no MLflow server answers, or the database cannot be
        migrated to the schema of the installed MLflow.
    """
    check_uri(uri)
    uri = resolve_uri(uri)
    prepare_import()
    from mlflow import MlflowClient

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    path = database_path(uri)
    try:
        if path is not None:
            with hold_lock(Path(f"{path}.lock")):
                make_ready(path)
                relocate_artifacts(path)
        client = MlflowClient(uri)
    except Exception as error:
        backups = [] if path is None else backups_of(path)
        restore = f"move it away and rename its copy {max(backups)}, or " if backups else ""
        raise BenchError(
            f"tracking.uri={uri} cannot be opened; if another version of MLflow created it, "
            f"{restore}give a new file with tracking.uri=sqlite:///... ({one_line(error)})"
        ) from error
    check_answers(client, uri)
    return client


@contextmanager
def connection(uri: str) -> Iterator[MlflowClient]:
    """Open a store for reading, or small changes, in this process.

    Raises
    ------
    BenchError
        As `open_client`, or with MLflow's message if a request in the block fails.
    """
    client = open_client(uri)
    from mlflow.exceptions import MlflowException
    from requests import RequestException

    try:
        yield client
    except (MlflowException, RequestException) as error:
        raise BenchError(
            f"tracking.uri={uri}: a request failed ({type(error).__name__}: {one_line(error)})"
        ) from error


def prepare_import() -> None:
    """Set the environment variables that MLflow reads when it is imported."""
    # Photos may be private, so telemetry is off unless the user turns it on.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    # Inherited from an outer `mlflow run`, this would give every job the same run.
    os.environ.pop("MLFLOW_RUN_ID", None)
    # MLflow cannot be imported without a home, as in a container with another user's id.
    if os.path.expanduser("~") == "~":  # noqa: PTH111
        os.environ["HOME"] = tempfile.gettempdir()


def one_line(error: Exception) -> str:
    """Return the beginning of an error's message on one line."""
    return " ".join(str(error).split())[:300]


def check_answers(client: MlflowClient, uri: str) -> None:
    """Send one request to a server; raise BenchError at once if no MLflow server answers."""
    from mlflow.exceptions import MlflowException

    if not uri.startswith(("http://", "https://")):
        return
    parts = urlsplit(uri)
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
        socket.create_connection((parts.hostname or "", port), _SERVER_TIMEOUT).close()
        with _short_timeouts():
            client.search_experiments(max_results=1)
    except (MlflowException, OSError, ValueError, TypeError, AttributeError) as error:
        raise BenchError(
            f"tracking.uri={uri}: no MLflow server answers there ({one_line(error)}); start one, "
            "correct the address, or omit tracking.uri to record into ./mlflow.db"
        ) from error


@contextmanager
def _short_timeouts() -> Iterator[None]:
    """Limit MLflow's requests to one short attempt."""
    before = {name: os.environ[name] for name in LIMITS if name in os.environ}
    os.environ.update(LIMITS)
    try:
        yield
    finally:
        for name in LIMITS:
            del os.environ[name]
        os.environ.update(before)


def experiment_id(client: MlflowClient, name: str) -> str:
    """Return the id of an experiment, which is created if missing and restored if deleted.

    Artifacts of a SQLite store are in `mlartifacts/<name>` next to the database, so that they are
    found from any working directory. A server chooses its own location.
    """
    from mlflow.exceptions import MlflowException

    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        path = database_path(client.tracking_uri)
        folder = re.sub(r"[^\w.-]+", "_", name).strip(".") or "experiment"
        location = None if path is None else (path.parent / "mlartifacts" / folder).as_uri()
        try:
            # Without this tag, the UI opens the experiment on the page for language models.
            tags = {"mlflow.experimentKind": "custom_model_development"}
            return client.create_experiment(name, artifact_location=location, tags=tags)
        except MlflowException:  # another job has created it meanwhile
            experiment = client.get_experiment_by_name(name)
            if experiment is None:
                raise
    if experiment.lifecycle_stage == "deleted":
        client.restore_experiment(experiment.experiment_id)
    return str(experiment.experiment_id)
