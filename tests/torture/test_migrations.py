"""First creation and migration of mlflow.db: killed, or with a full disk, at random moments."""

import os
import random
import subprocess
import sys
import time
from contextlib import suppress

import pytest

from outliers_bench.tracking.database import backups_of
from tests.torture.kills import OLDER, put_older_database, rows_of
from tests.torture.test_kills import ROUNDS, SEED

pytestmark = pytest.mark.slow

KILLS = 6
SECONDS = 2.0  # in which a database is made or migrated, at least
OPEN = (
    "import resource, sys\n"
    "limit = int(sys.argv[1])\n"
    "limit and resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))\n"
    "from outliers_bench.tracking.store import open_client\n"
    "open_client('sqlite:///mlflow.db')\n"
)


def opening(folder, *, limit=0):
    """Start a process that opens the store; `limit` is the largest size of a file in bytes."""
    return subprocess.Popen(
        [sys.executable, "-c", OPEN, str(limit)],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def history(path):
    with rows_of(path) as query:
        assert query("PRAGMA integrity_check") == [("ok",)]
        return query("SELECT run_uuid, key, value, step FROM metrics ORDER BY 1, 2, 4")


def put_store(version, folder):
    if version is not None:
        put_older_database(version, folder)
        return history(folder / "mlflow.db")
    return None


@pytest.mark.parametrize("seed", range(SEED, SEED + ROUNDS))
@pytest.mark.parametrize("version", [None, *OLDER])
def test_a_database_is_whole_after_kills(tmp_path, record_property, version, seed):
    path, before = tmp_path / "mlflow.db", put_store(version, tmp_path)
    chance, kills = random.Random(f"{version} {seed}"), 0
    for _ in range(KILLS):
        with opening(tmp_path) as process:
            while process.poll() is None and not list(tmp_path.glob(".mlflow.db-*")):
                time.sleep(0.005)
            with suppress(subprocess.TimeoutExpired):
                process.wait(chance.uniform(0, SECONDS))
            process.kill()
        if process.returncode == 0:  # it was complete before: again
            path.unlink()
            put_store(version, tmp_path)
        else:
            kills += 1
        if before is not None:
            assert history(path) == before
    record_property(f"kills while a database is {'migrated' if version else 'made'}", kills)
    assert opening(tmp_path).wait() == 0
    assert history(path) == (before or [])
    if version is not None:
        (backup,) = backups_of(path)
        assert history(backup) == before
    assert not list(tmp_path.glob(".mlflow.db*")), "half made files are left"


@pytest.mark.skipif(os.name != "posix", reason="the limit is POSIX")
@pytest.mark.parametrize("seed", range(SEED, SEED + ROUNDS))
@pytest.mark.parametrize("version", [None, *OLDER])
def test_a_database_is_whole_after_a_full_disk(tmp_path, record_property, version, seed):
    path, before = tmp_path / "mlflow.db", put_store(version, tmp_path)
    limit = random.Random(f"full {version} {seed}").randrange(1, 60) * 4096
    with opening(tmp_path, limit=limit) as process:
        message = process.stderr.read()
    assert process.returncode == 1
    assert "BenchError: tracking.uri=sqlite:///" in message
    record_property("full disks while a database is made or migrated", 1)
    if version is None:
        assert not path.exists()
    else:
        assert history(path) == before
    assert not list(tmp_path.glob(".mlflow.db-*")), "half made files are left"
    assert opening(tmp_path).wait() == 0
    assert history(path) == (before or [])
