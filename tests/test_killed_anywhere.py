"""`kill -9` of a command and its sender at random moments of a first start in a fresh folder."""

import os
import random
import signal
import subprocess
import sys
from contextlib import suppress

import psutil
import pytest

from tests.command_line import bench
from tests.recorded_runs import SMALL, runs

PIXELS = (*SMALL, "model=pixels", "contact_sheets.queries=1", "k=[1,5]")
SENDER = "outliers_bench.tracking.sender"
KILLS = int(os.environ.get("OUTLIERS_BENCH_KILLS", "3"))
SECONDS = float(os.environ.get("OUTLIERS_BENCH_KILL_WITHIN", "15"))  # creates a database as well


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(KILLS))
def test_the_next_run_works_and_nothing_stays_running(tmp_path, seed):
    words = PIXELS if seed % 2 else ("-m", *PIXELS, "pca.n=null,3,4")
    env = {"OUTLIERS_BENCH_CACHE": str(tmp_path / "cache")}
    process = subprocess.Popen(
        [sys.executable, "-m", "outliers_bench", *words],
        cwd=tmp_path,
        env={**os.environ, **env},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    with suppress(subprocess.TimeoutExpired):
        process.wait(random.Random(seed).uniform(0.1, SECONDS))
    victims = [process]
    with suppress(psutil.NoSuchProcess):
        victims += psutil.Process(process.pid).children(recursive=True)
    for victim in victims:
        with suppress(psutil.NoSuchProcess, ProcessLookupError):
            victim.send_signal(signal.SIGKILL)
    process.wait()

    done = bench(*PIXELS, cwd=tmp_path, **env)
    assert (done.code, done.err) == (0, "")
    while "another sender" in (sent := bench(cwd=tmp_path, module=SENDER, **env)).out:
        pass
    assert (sent.code, sent.err) == (0, "")
    statuses = [run.info.status for run in runs(tmp_path)]
    assert "FINISHED" in statuses
    assert set(statuses) <= {"FINISHED", "KILLED"}
    keys = [run.data.tags["outbox.key"] for run in runs(tmp_path)]
    assert len(keys) == len(set(keys))
    assert not list(tmp_path.glob(".mlflow.db-*")), "a half made database is left"
