"""SQLite databases of MLflow: made and migrated in a copy, so that a kill leaves none half made."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from glob import escape
from pathlib import Path
from typing import Any


def make_ready(path: Path) -> None:
    """Create a database, or migrate it to the schema of the installed MLflow if it is older.

    A database that was left half made, with tables but without experiments and runs, is made again.
    An older one is first copied to `<file>.before-upgrade`. Hold a lock meanwhile.
    After any exception of MLflow's or Alembic's, the file is as it was before.
    """
    from mlflow.store.db import utils

    for aside in path.parent.glob(f".{escape(path.name)}-*"):  # of killed processes
        aside.unlink(missing_ok=True)
    version, is_used = _inspect(path)
    # There are no public functions for the schema; `mlflow db upgrade` calls these.
    if version == utils._get_latest_schema_revision():  # type: ignore[no-untyped-call]
        return
    with _replaced(path) as aside:
        if not is_used:
            _with_engine(aside, utils._initialize_tables)
            return
        with _replaced(Path(f"{path}.before-upgrade")) as backup:
            _copy(path, backup)
        _copy(path, aside)
        _with_engine(aside, utils._upgrade_db)


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


def _copy(path: Path, target: Path) -> None:
    """Copy a database with SQLite, which completes or undoes what a killed process left."""
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(target)) as copy:
        source.backup(copy)
