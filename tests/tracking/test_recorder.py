"""The process that records: it outlives whoever it records for, and nothing is left RUNNING."""

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
parent = recorder(uri).submit(start_parent, "gone", overrides=["model=a,b"])
with start_run(config, make_split("gone"), identity="gone", parent="x") as recording:
    {action}
"""


def test_trouble_in_ending_a_run_does_not_hide_why_it_failed(fresh_uri, caplog):

    def fail():
        with start_run(make_config(fresh_uri), make_split(), identity="hidden") as recording:
            recording.confirm()
            os.kill(get_recorder(fresh_uri)._process.pid, signal.SIGKILL)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert "the process that records in MLflow has ended" in caplog.text


def test_after_the_recorders_death_another_takes_over(fresh_uri):
    first = get_recorder(fresh_uri)
    assert get_recorder(fresh_uri) is first
    first._process.kill()
    first._process.wait()
    with start_run(make_config(fresh_uri), make_split(), identity="next") as recording:
        recording.confirm()
    assert get_recorder(fresh_uri) is not first


def statuses(uri, *, wanted):
    """How the runs of `gone` have ended, once there are two and none is running, or a minute on."""
    deadline = time.monotonic() + 60
    found = []
    while time.monotonic() < deadline:
        if Path(uri.removeprefix("sqlite:///")).exists():
            client = open_client(uri)
            experiment = client.get_experiment_by_name("gone")
            found = client.search_runs([experiment.experiment_id]) if experiment else []
            if len(found) == len(wanted) and all(r.info.status != "RUNNING" for r in found):
                break
        time.sleep(0.2)
    assert sorted(run.info.status for run in found) == sorted(wanted)
    return found


@pytest.mark.parametrize(
    ("action", "code", "n_runs"),
    [
        ("recording.confirm(); os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL, 2),
        # While the recorder is importing still: the sweep is asked for, the run's turn never comes.
        ("time.sleep(0.5); os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL, 1),
        # A service manager's stop reaches both; test_run_record.py has the run's side of it.
        pytest.param(
            "recording.confirm(); os.kill(recorder(uri)._process.pid, 15); sys.exit(143)",
            143,
            2,
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_process_that_vanishes_leaves_no_run_running(fresh_uri, action, code, n_runs):
    done = subprocess.run(
        [sys.executable, "-c", SWEEP.format(uri=fresh_uri, action=action)], check=False
    )
    assert done.returncode == code
    found = statuses(fresh_uri, wanted=["KILLED"] * n_runs)
    children = [run for run in found if run.data.tags["kind"] == "run"]
    assert len(children) == n_runs - 1
    for child in children:
        assert child.data.tags["failure"] in (runs.CUT_SHORT, "SystemExit: 143")


@pytest.mark.slow
def test_an_interrupt_while_a_sweep_begins_leaves_nothing_running(fresh_uri):
    """Before anybody knows the parent run's id, so that nobody can end it by name."""
    code = f"""
from outliers_bench.tracking.recorder import get_recorder
from outliers_bench.sweeps.mlflow_parent import start_parent
recorder({fresh_uri!r}).submit(start_parent, "gone", overrides=["model=a,b"])
raise KeyboardInterrupt
"""
    subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)
    statuses(fresh_uri, wanted=["KILLED"])


@pytest.mark.slow
def test_what_stands_before_the_first_answer_is_passed_over(fresh_uri, tmp_path, monkeypatch):
    (tmp_path / "sitecustomize.py").write_text("print('hello from an administrator')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(sys, "path", [*sys.path, tmp_path])  # not a string: Python passes it over
    found = Recorder()
    found.open(fresh_uri)
    assert found.call(runs.find_finished, "none", "none") is None
    found.close()
    assert not found.alive


@pytest.mark.slow
def test_a_question_that_cannot_be_understood_ends_nothing(fresh_uri):
    with pytest.raises(Exception, match="pickle"):
        get_recorder(fresh_uri).call(lambda client: client)
    assert get_recorder(fresh_uri).call(runs.find_finished, "none", "none") is None


def test_an_unused_recorder_ends_at_once():
    found = Recorder()
    start = time.monotonic()
    found.close()
    assert not found.alive
    assert time.monotonic() - start < 5


def test_what_was_asked_before_stands_for_its_result(uri):
    recording = get_recorder(uri)
    first = recording.submit(_twice, "a")
    assert recording.call(_twice, first) == "aaaa"
    broken = recording.submit(_broken)
    with pytest.raises(BenchError, match="as it was asked"):
        recording.call(_twice, broken)


def _twice(client, word):
    return 2 * word


def _broken(client):
    raise BenchError("as it was asked")
