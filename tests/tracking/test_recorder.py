"""The recorder process: it outlives its client, and leaves no run RUNNING."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from outliers_bench.errors import BenchError
from outliers_bench.tracking import runs
from outliers_bench.tracking.active_run import start_run
from outliers_bench.tracking.recorder import Recorder, get_recorder
from outliers_bench.tracking.store import open_client
from tests.results import make_config, make_split

SWEEP = """
import os, signal, sys, time
from outliers_bench.tracking.recorder import get_recorder
from outliers_bench.tracking.active_run import start_run
from outliers_bench.sweeps.mlflow_parent import start_parent
from tests.results import make_config, make_split
uri = {uri!r}
config = make_config(uri, name="gone")
parent = get_recorder(uri).submit(start_parent, "gone", overrides=["model=a,b"])
with start_run(config, make_split("gone"), identity="gone", parent="x") as run:
    {action}
"""


def test_an_error_in_ending_a_run_does_not_hide_its_failure(fresh_uri, caplog):
    def fail():
        with start_run(make_config(fresh_uri), make_split(), identity="hidden") as run:
            run.confirm()
            os.kill(get_recorder(fresh_uri)._process.pid, signal.SIGKILL)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert "the MLflow recorder process has ended" in caplog.text


def test_a_killed_recorder_is_replaced(fresh_uri):
    first = get_recorder(fresh_uri)
    assert get_recorder(fresh_uri) is first
    first._process.kill()
    first._process.wait()
    with start_run(make_config(fresh_uri), make_split(), identity="next") as run:
        run.confirm()
    assert get_recorder(fresh_uri) is not first


def wait_for_statuses(uri, *, expected):
    """Return the runs of `gone` once all have ended; wait for at most a minute."""
    deadline = time.monotonic() + 60
    found = []
    while time.monotonic() < deadline:
        if Path(uri.removeprefix("sqlite:///")).exists():
            client = open_client(uri)
            experiment = client.get_experiment_by_name("gone")
            found = client.search_runs([experiment.experiment_id]) if experiment else []
            if len(found) == len(expected) and all(r.info.status != "RUNNING" for r in found):
                break
        time.sleep(0.2)
    assert sorted(run.info.status for run in found) == sorted(expected)
    return found


@pytest.mark.parametrize(
    ("action", "code", "n_runs"),
    [
        ("run.confirm(); os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL, 2),
        # While the recorder is still importing: the sweep is requested, the run never is.
        ("time.sleep(0.5); os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL, 1),
        # A service manager stops both processes; test_active_run.py tests the run's process.
        pytest.param(
            "run.confirm(); os.kill(get_recorder(uri)._process.pid, 15); sys.exit(143)",
            143,
            2,
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_process_that_disappears_leaves_no_run_running(fresh_uri, action, code, n_runs):
    done = subprocess.run(
        [sys.executable, "-c", SWEEP.format(uri=fresh_uri, action=action)], check=False
    )
    assert done.returncode == code
    found = wait_for_statuses(fresh_uri, expected=["KILLED"] * n_runs)
    children = [run for run in found if run.data.tags["kind"] == "run"]
    assert len(children) == n_runs - 1
    for child in children:
        assert child.data.tags["failure"] in (runs.CUT_SHORT, "SystemExit: 143")


@pytest.mark.slow
def test_an_interrupt_at_the_start_of_a_sweep_leaves_nothing_running(fresh_uri):
    """The parent run's id is not known yet, so no caller can end it."""
    code = f"""
from outliers_bench.tracking.recorder import get_recorder
from outliers_bench.sweeps.mlflow_parent import start_parent
get_recorder({fresh_uri!r}).submit(start_parent, "gone", overrides=["model=a,b"])
raise KeyboardInterrupt
"""
    subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)
    wait_for_statuses(fresh_uri, expected=["KILLED"])


@pytest.mark.slow
def test_output_before_the_first_answer_is_ignored(fresh_uri, tmp_path, monkeypatch):
    (tmp_path / "sitecustomize.py").write_text("print('hello from an administrator')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(sys, "path", [*sys.path, tmp_path])  # not a string, so Python ignores it
    recorder = Recorder()
    recorder.open(fresh_uri)
    assert recorder.call(runs.find_finished, "none", "none") is None
    recorder.close()
    assert not recorder.is_alive


@pytest.mark.slow
def test_a_request_that_cannot_be_pickled_does_not_end_the_recorder(fresh_uri):
    with pytest.raises(Exception, match="pickle"):
        get_recorder(fresh_uri).call(lambda client: client)
    assert get_recorder(fresh_uri).call(runs.find_finished, "none", "none") is None


def test_an_unused_recorder_ends_at_once():
    recorder = Recorder()
    start = time.monotonic()
    recorder.close()
    assert not recorder.is_alive
    assert time.monotonic() - start < 5


def test_the_future_of_an_earlier_request_is_replaced_by_its_result(uri):
    recorder = get_recorder(uri)
    first = recorder.submit(_twice, "a")
    assert recorder.call(_twice, first) == "aaaa"
    broken = recorder.submit(_broken)
    with pytest.raises(BenchError, match="the original message"):
        recorder.call(_twice, broken)


def _twice(client, word):
    return 2 * word


def _broken(client):
    raise BenchError("the original message")
