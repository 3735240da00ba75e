"""Signals to commands at work: one line, the exit code of shells, and a KILLED run."""

import os
import pty
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from tests.recorded_runs import NETWORK, SMALL
from tests.torture.kills import NETWORK_TRAINED, deliver, rows_of

pytestmark = pytest.mark.slow

EMBEDDING = (*SMALL, *NETWORK, "data.images=150", "data.size=64", "model.image_size=128")
COMMANDS = {
    "embedding": EMBEDDING,
    "training": (*NETWORK_TRAINED, "model.epochs=30"),
    "sweep": ("-m", *EMBEDDING, "pca.n=2,3"),
}


def start(folder, *words, module="outliers_bench", **pipes):
    return subprocess.Popen(
        [sys.executable, "-m", module, *words],
        cwd=folder,
        env={**os.environ, "OUTLIERS_BENCH_CACHE": str(folder / "cache")},
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **pipes},
    )


def wait_for_work(folder, process):
    """Wait until features are stored, or an epoch is."""
    deadline = time.monotonic() + 240
    patterns = ("features/mobilenet*.sqlite", "trained/*/state.json")
    while not any(list((folder / "cache").glob(pattern)) for pattern in patterns):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)


def statuses(folder):
    deliver(folder)
    with rows_of(folder / "mlflow.db") as query:
        return {status for (status,) in query("SELECT status FROM runs")}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("work", COMMANDS)
def test_a_signal_ends_a_run_as_killed(tmp_path, work, number):
    process = start(tmp_path, *COMMANDS[work])
    wait_for_work(tmp_path, process)
    process.send_signal(number)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 128 + number, err
    (line,) = [line for line in err.splitlines() if "ended by" in line]
    assert line.startswith(f"ended by {number.name}; finished work is stored")
    assert "Traceback" not in err
    assert "FATAL" not in err
    assert statuses(tmp_path) == {"KILLED"}


def test_a_closed_terminal_ends_a_run_as_killed(tmp_path):
    master, slave = pty.openpty()

    def in_terminal():
        os.setsid()
        import fcntl
        import termios

        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    pipes = {"stdin": slave, "stdout": slave, "stderr": slave, "preexec_fn": in_terminal}
    process = start(tmp_path, *EMBEDDING, **pipes)
    os.close(slave)
    wait_for_work(tmp_path, process)
    os.close(master)
    assert process.wait(timeout=120) == 128 + signal.SIGHUP
    assert statuses(tmp_path) == {"KILLED"}


def test_nobody_reads_the_output(tmp_path):
    """The run is recorded, with the exit code that shells give to `| head -1`."""
    process = start(tmp_path, *SMALL, "model=pixels", "contact_sheets.queries=0", "k=[1]")
    process.stdout.close()
    assert process.wait(timeout=120) == 128 + signal.SIGPIPE
    assert statuses(tmp_path) == {"FINISHED"}


def test_a_suspended_run_continues(tmp_path):
    process = start(tmp_path, *EMBEDDING)
    wait_for_work(tmp_path, process)
    process.send_signal(signal.SIGSTOP)
    time.sleep(15)
    process.send_signal(signal.SIGCONT)
    assert process.wait(timeout=300) == 0
    assert statuses(tmp_path) == {"FINISHED"}


def test_cleaning_ends_in_one_line(tmp_path):
    random = np.random.default_rng(0)
    folder = tmp_path / "photos" / "a"
    folder.mkdir(parents=True)
    for number in range(1500):
        image = Image.fromarray(random.integers(0, 256, (200, 200, 3), dtype=np.uint8))
        image.save(folder / f"{number}.jpg")
    process = start(tmp_path, "root=photos", module="outliers_bench.clean")
    deadline = time.monotonic() + 60
    while not (tmp_path / "cache").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert err.splitlines()[-1] == "ended by SIGTERM; the same command continues from there"
