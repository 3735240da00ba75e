"""Interrupted runs: resumption after a kill."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pandas as pd
import pytest

from tests.recorded_runs import NETWORK, SMALL, recorded_run, run_cli, scores


@pytest.fixture(scope="module")
def workdir(tmp_path_factory) -> Path:
    """Working directory with a tracking store shared by all tests; creating a store takes 7 s."""
    return tmp_path_factory.mktemp("desk")


@pytest.mark.slow
def test_kill_during_embedding(workdir, tmp_path):
    """The next run computes only the missing features, and gives the same result."""
    many = (*SMALL, "data.images=150", "data.size=64", *NETWORK, "seed=3", "model.image_size=96")
    killed = tmp_path / "killed"
    process = subprocess.Popen(
        [sys.executable, "-m", "outliers_bench", *many],
        cwd=workdir,
        env={**os.environ, "OUTLIERS_BENCH_CACHE": str(killed)},
    )

    def stored() -> int:
        files = list((killed / "features").glob("mobilenet-*.sqlite"))
        if not files:
            return 0
        with sqlite3.connect(files[0], timeout=60) as db, suppress(sqlite3.OperationalError):
            return int(db.execute("SELECT COUNT(*) FROM features").fetchone()[0])
        return 0  # the file has no table yet

    deadline = time.time() + 240
    while stored() < 200 and process.poll() is None and time.time() < deadline:
        time.sleep(0.1)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "it was killed before it finished"
    n_stored = stored()
    assert 200 <= n_stored < 1800
    resumed = recorded_run(workdir, run_cli(workdir, *many, cache=str(killed)))
    assert resumed.data.metrics["features_reused"] == n_stored
    assert resumed.data.metrics["features_computed"] == 1800 - n_stored
    uninterrupted = recorded_run(
        workdir, run_cli(workdir, *many, cache=str(tmp_path / "uninterrupted"))
    )
    assert uninterrupted.data.metrics["features_computed"] == 1800
    assert scores(resumed) == scores(uninterrupted)
    rankings = [
        pd.read_parquet(Path(run.info.artifact_uri.removeprefix("file://")) / "ranking.parquet")
        for run in (resumed, uninterrupted)
    ]
    pd.testing.assert_frame_equal(*rankings, check_exact=True)
