"""Commands that are killed at random moments, and what must be the same as without a kill."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from zipfile import ZipFile

import psutil

from tests.command_line import bench
from tests.recorded_runs import NETWORK, SMALL

SENDER = "outliers_bench.tracking.sender"
QUIET = (*SMALL, "contact_sheets.queries=1", "k=[1,5]")
SCORES = ("hit_at", "precision_at", "map_at_r", "r_precision", "mrr")
PER_ROUND = 5  # kills, each of the command that continues after the one before


@dataclass(frozen=True)
class Killed:
    """A command of the benchmark, and what a folder holds before it starts.

    Parameters
    ----------
    words : tuple of str
        Command line of `python -m outliers_bench`.
    prepare : callable
        Takes the empty folder.
    """

    words: tuple[str, ...]
    prepare: Callable[[Path], None] = field(default=lambda _: None)

    def start(self, folder: Path) -> subprocess.Popen[bytes]:
        """Start the command."""
        return start(folder, "outliers_bench", *self.words)

    def complete(self, folder: Path) -> float:
        """Run the command to its end, deliver everything, and return the seconds of the command."""
        begin = time.monotonic()
        done = bench(*self.words, cwd=folder, OUTLIERS_BENCH_CACHE=str(folder / "cache"))
        seconds = time.monotonic() - begin
        assert done.code == 0, done.err
        assert "Traceback" not in done.err, done.err
        deliver(folder)
        return seconds


NETWORK_TRAINED = (
    *("data=synthetic", "data.classes=4", "data.individuals=5", "data.images=20", "data.size=48"),
    *("contact_sheets.queries=0", "k=[1]", "model=cnn_scratch", "model.image_size=48"),
    *("model.batch_size=16", "model.epochs=3", "deterministic=true"),
)
OLDER = ("2.9.2", "3.1.4")  # versions of MLflow; each made a database with three runs


def put_older_database(version: str, folder: Path) -> None:
    """Put a database that an older MLflow made in a folder."""
    with ZipFile(Path(__file__).with_name(f"mlflow-{version}.zip")) as archive:
        archive.extract("mlflow.db", folder)


COMMANDS = {
    "first start": Killed((*QUIET, "model=pixels")),
    "run": Killed((*QUIET, *NETWORK, "data.images=30")),
    "sweep": Killed(("-m", *QUIET, "model=pixels", "pca.n=null,3,4")),
    "training": Killed(NETWORK_TRAINED),
    **{
        f"run with a database of MLflow {version}": Killed(
            (*QUIET, "model=pixels"), partial(put_older_database, version)
        )
        for version in OLDER
    },
}


def start(folder: Path, module: str, *words: str) -> subprocess.Popen[bytes]:
    """Start a command whose cache is in the folder, and whose output nobody reads."""
    return subprocess.Popen(
        [sys.executable, "-m", module, *words],
        cwd=folder,
        env={**os.environ, "OUTLIERS_BENCH_CACHE": str(folder / "cache")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def kill_at_random(
    process: subprocess.Popen[bytes], chance: random.Random, within: float, *, spare: bool = False
) -> str | None:
    """Kill a command or its sender, or both, at a random moment; return which.

    None if the command has ended before. With `spare`, only ever all processes.
    """
    with suppress(subprocess.TimeoutExpired):
        process.wait(chance.uniform(0.05, within))
        return None
    victims = psutil.Process(process.pid).children(recursive=True)
    what = "both" if spare else chance.choice(("both", "both", "command", "sender"))
    if what != "sender":
        victims = [psutil.Process(process.pid), *(victims if what == "both" else [])]
    for victim in victims:
        with suppress(psutil.NoSuchProcess):
            victim.send_signal(signal.SIGKILL)
    if what == "sender":
        process.wait(300)
        assert process.returncode == 0, "a command does not depend on its sender"
    process.wait()
    return what


def deliver(folder: Path) -> None:
    """Deliver what waits, once the sender of the command has ended."""
    while True:
        done = bench(cwd=folder, module=SENDER, OUTLIERS_BENCH_CACHE=str(folder / "cache"))
        if "another sender" not in done.out:
            break
    assert (done.code, done.err) == (0, "")


@contextmanager
def rows_of(path: Path) -> Iterator[Callable[[str], list[tuple]]]:
    """Yield a function that queries a SQLite file."""
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=60)) as database:
        yield lambda query: database.execute(query).fetchall()


def statuses(folder: Path) -> list[str]:
    """Return the status of every run in MLflow."""
    with rows_of(folder / "mlflow.db") as query:
        return [status for (status,) in query("SELECT status FROM runs")]


def results(folder: Path) -> dict[str, object]:
    """Return the scores of the finished runs by identity, and all features, bit for bit."""
    found: dict[str, object] = {}
    with rows_of(folder / "mlflow.db") as query:
        assert query("PRAGMA integrity_check") == [("ok",)]
        identities = query(
            "SELECT run_uuid, value FROM tags JOIN runs USING (run_uuid) "
            "WHERE key = 'identity' AND status = 'FINISHED'"
        )
        for run_id, identity in identities:
            metrics = query(f"SELECT key, value FROM latest_metrics WHERE run_uuid = '{run_id}'")
            scores = sorted(pair for pair in metrics if pair[0].startswith(SCORES))
            assert scores
            assert found.setdefault(identity, scores) == scores
        found["runs of an older MLflow"] = query(
            "SELECT runs.name, status, key, value, step FROM runs JOIN metrics USING (run_uuid) "
            "JOIN experiments USING (experiment_id) WHERE experiments.name = 'lions' ORDER BY 1, 5"
        )
    for path in (folder / "cache" / "features").glob("*.sqlite"):
        # Without the key: that of a trained network's features includes its date in Keras's file.
        rows = found.setdefault(path.stem.rpartition("-")[0], set())
        with rows_of(path) as query:
            rows.update(query("SELECT digest, vector FROM features"))
    return found


def check_after_kills(folder: Path, expected: dict[str, object]) -> None:
    """Check that nothing is wrong, lost, left running or left over."""
    assert results(folder) == expected
    assert set(statuses(folder)) <= {"FINISHED", "KILLED"}
    with rows_of(folder / "mlflow.db") as query:
        keys = query("SELECT value FROM tags WHERE key = 'outbox.key'")
    assert len(keys) == len(set(keys)), "a run is in MLflow twice"
    assert not list(folder.glob(".mlflow.db-*")), "a half made database is left"
