"""SQLite databases of MLflow: made and migrated in a copy, and moved with their artifacts."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from filecmp import cmp
from glob import escape
from itertools import count
from pathlib import Path
from shutil import copyfile
from typing import Any

_ARTIFACT_FOLDERS = ("mlartifacts", "mlruns")  # next to a database: ours, and MLflow's
_BACKUP = ".before-upgrade-"  # after the name of a database, before the revision of its schema
_LOCATIONS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)


def make_ready(path: Path) -> None:
    """Create a database, or migrate it to the schema of the installed MLflow if it is older.

    A database that was left half made, with tables but without experiments and runs, is made again.
    An older one is first copied to `<file>.before-upgrade-<revision>`, which is never overwritten.
    Hold a lock meanwhile.
    After any exception of MLflow's or Alembic's, the file is as it was before.
    """
    from mlflow.store.db import utils

    for start in ("-", _BACKUP):
        for aside in path.parent.glob(f".{escape(path.name)}{start}*"):  # of killed processes
            aside.unlink(missing_ok=True)
    version, is_used = _inspect(path)
    # There are no public functions for the schema; `mlflow db upgrade` calls these.
    if version == utils._get_latest_schema_revision():  # type: ignore[no-untyped-call]
        return
    with _replaced(path) as aside:
        if not is_used:
            _with_engine(aside, utils._initialize_tables)
            return
        _copy(path, aside)
        _back_up(aside, f"{path}{_BACKUP}{version or 'unknown'}")
        _with_engine(aside, utils._upgrade_db)


def backups_of(path: Path) -> list[Path]:
    """Return the copies of a database that were made before it was migrated, in no order."""
    return list(path.parent.glob(f"{escape(path.name)}{_BACKUP}*"))


def relocate_artifacts(path: Path) -> None:
    """Let the artifacts of a database that was moved or copied be those next to it.

    MLflow stores absolute locations. An experiment whose location is in `mlartifacts` or `mlruns`
    of another folder, where its database was, gets the location next to the database if that
    exists, or if the other folder no longer does. Locations elsewhere, such as on a server, stay.
    """
    with closing(sqlite3.connect(path, timeout=30)) as database, database:
        rows = database.execute("SELECT DISTINCT artifact_location FROM experiments").fetchall()
        moved = {old: new for (old,) in rows if old and (new := _location_here(old, path.parent))}
        if not moved:
            return
        tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master")}
        # Longest first: a location may be below another.
        for old, new in sorted(moved.items(), reverse=True):
            for table, column in _LOCATIONS:
                if table in tables:
                    database.execute(
                        f"UPDATE {table} SET {column} = ? || substr({column}, ?) "  # noqa: S608
                        f"WHERE {column} = ? OR substr({column}, 1, ?) = ?",
                        (new, len(old) + 1, old, len(old) + 1, f"{old}/"),
                    )


def _location_here(location: str, folder: Path) -> str | None:
    """Return the location next to a database that replaces one elsewhere; None if it stays."""
    from urllib.request import url2pathname  # imports SSL, which --help does without

    is_uri = location.startswith("file:///")
    place = Path(url2pathname(location.removeprefix("file://")) if is_uri else location)
    if not place.is_absolute() or place.parent.name not in _ARTIFACT_FOLDERS:
        return None
    before, here = place.parents[1], folder / place.parent.name / place.name
    if before == folder or (before.is_dir() and (before.samefile(folder) or not here.is_dir())):
        return None
    return here.as_uri() if is_uri else str(here)


def _inspect(path: Path) -> tuple[str | None, bool]:
    """Return the version of a database's schema, if any, and whether it has experiments or runs."""
    if not path.exists():
        return None, False
    with closing(sqlite3.connect(path, timeout=30)) as connection:
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()

        def first(table: str) -> Any:  # noqa: ANN401 - a row, or None
            if (table,) not in names:
                return None
            return connection.execute(f"SELECT * FROM {table} LIMIT 1").fetchone()  # noqa: S608

        version = first("alembic_version")
        is_used = first("experiments") is not None or first("runs") is not None
    return None if version is None else str(version[0]), is_used


@contextmanager
def _replaced(path: Path) -> Iterator[Path]:
    """Yield the path of a new file next to a database, which replaces it if the block succeeds."""
    aside = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
    try:
        yield aside
        for journal in ("-journal", "-wal", "-shm"):  # they belong to the old file
            Path(f"{path}{journal}").unlink(missing_ok=True)
        aside.replace(path)
    finally:
        for suffix in ("", "-journal", "-wal", "-shm"):
            Path(f"{aside}{suffix}").unlink(missing_ok=True)


def _with_engine(path: Path, change: Callable[[Any], None]) -> None:
    from mlflow.store.db import utils

    engine = utils.create_sqlalchemy_engine_with_retry(f"sqlite:///{path}")  # type: ignore[no-untyped-call]
    try:
        change(engine)
    finally:
        engine.dispose()


def _back_up(copy: Path, name: str) -> None:
    """Keep a copy of a database under a free name, unless an earlier backup has the same bytes."""
    for number in count(1):
        backup = Path(name if number == 1 else f"{name}-{number}")
        if not backup.exists():
            with _replaced(backup) as aside:
                copyfile(copy, aside)
            return
        if cmp(copy, backup, shallow=False):
            return


def _copy(path: Path, target: Path) -> None:
    """Copy a database with SQLite, which completes or undoes what a killed process left."""
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(target)) as copy:
        source.backup(copy)
