"""Lost runs are ended as KILLED; runs of live processes and of other hosts are not."""

import json
import os
import subprocess
import sys

import pytest

from outliers_bench.sweeps import mlflow_parent as sweeps
from outliers_bench.sweeps.lost_runs import end_lost_runs
from outliers_bench.sweeps.mlflow_parent import start_parent
from outliers_bench.tracking import process
from outliers_bench.tracking.process import is_gone, process_tag, set_worker
from outliers_bench.tracking.runs import end_lost_run, end_run
from outliers_bench.tracking.store import experiment_id

_READ = process._read


def tag(**changes):
    return json.dumps({**json.loads(process_tag()), **changes})


@pytest.fixture(scope="module")
def dead():
    """Tag of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as ended:
        set_worker(ended.pid)
        dead_tag = process_tag()
        set_worker(os.getpid())
        ended.communicate(b"\n")
    return dead_tag


def test_a_process_is_gone_only_if_that_is_certain(dead):
    assert is_gone(dead)
    assert not is_gone(process_tag())
    # A later process with the same id.
    assert is_gone(tag(start=json.loads(process_tag())["start"] - 60))
    for elsewhere in ({"host": "another"}, {"machine": "another"}, {"pids": "pid:[1]"}):
        assert not is_gone(json.dumps({**json.loads(dead), **elsewhere}))
    for nonsense in ("", "{}", "[]", "null", '{"pid": "x", "start": 0}'):
        assert not is_gone(nonsense)


HOST = {
    "host": "desk",
    "machine": "an id",
    "boot": "now",
    "pids": "pid:[4026531836]",  # outside any container
}


@pytest.mark.parametrize(
    ("tagged", "here", "local", "gone"),
    [
        ({"boot": "earlier"}, {}, True, True),
        (
            {"boot": "earlier"},
            {},
            False,
            False,
        ),  # a server: maybe another machine of the image
        ({"boot": "earlier", "machine": ""}, {"machine": ""}, True, False),
        ({"boot": "earlier", "machine": "another"}, {}, True, False),
        # Containers from one image have the same machine id and may have the same name.
        ({"boot": "earlier", "pids": "pid:[9]"}, {"pids": "pid:[9]"}, True, False),
        ({"boot": "earlier", "pids": "pid:[9]"}, {}, True, False),
        ({}, {}, False, True),  # the same boot: only its processes count
        ({"boot": "", "pids": ""}, {"boot": "", "pids": ""}, False, False),
    ],
)
def test_after_a_restart_only_runs_of_this_machine_are_gone(tagged, here, local, gone, monkeypatch):
    monkeypatch.setattr(process, "process_namespace", lambda: HOST | here)
    monkeypatch.setattr(process, "_is_alive", lambda pid, start: False)
    tag = json.dumps({**HOST, **tagged, "pid": 1, "start": 0.5})
    assert is_gone(tag, local=local) is gone


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux'")
@pytest.mark.parametrize(
    ("raised", "gone"), [(PermissionError, False), (None, False), (ProcessLookupError, True)]
)
def test_a_process_of_another_user_is_alive_if_proc_hides_it(raised, gone, monkeypatch):
    """If /proc is mounted with hidepid, it does not show such processes."""

    def kill(pid, signal):
        assert signal == 0
        if raised:
            raise raised

    tag = process_tag()
    monkeypatch.setattr(process, "_read", lambda path: "" if "/stat" in path else _READ(path))
    monkeypatch.setattr(os, "kill", kill)
    assert is_gone(tag) is gone


def test_a_run_that_was_wrongly_ended_as_lost_can_finish(client):
    run = client.create_run(experiment_id(client, "lost")).info.run_id
    end_lost_run(client, run)
    assert "failure" in client.get_run(run).data.tags
    end_run(client, run, "FINISHED")
    assert client.get_run(run).info.status == "FINISHED"
    assert "failure" not in client.get_run(run).data.tags


def test_only_lost_runs_and_sweeps_are_ended(client, monkeypatch, dead):
    monkeypatch.setattr(sweeps, "_log_leaderboard", lambda *_: None)
    experiment = experiment_id(client, "lost")

    def create(worker, **tags):
        tags = {"kind": "run", "process": worker, **tags}
        return client.create_run(experiment, tags=tags).info.run_id

    def sweep(worker):
        parent = start_parent(client, "lost", overrides=["seed=0,1"], n_jobs=6)
        client.set_tag(parent, "process", worker)
        return parent

    gone, living = sweep(dead), sweep(dead)
    of_gone = create(dead, **{"mlflow.parentRunId": gone})
    still_running = create(process_tag(), **{"mlflow.parentRunId": living})
    elsewhere = create(json.dumps({**json.loads(dead), "host": "another"}))
    untagged = client.create_run(experiment).info.run_id

    assert end_lost_runs(client) == [of_gone, gone]
    status = {run: client.get_run(run).info.status for run in (gone, of_gone)}
    assert set(status.values()) == {"KILLED"}
    note = client.get_run(gone).data.tags["mlflow.note.content"]
    assert note.startswith("0 of 6 jobs finished, 1 failed, 5 not started")
    assert "ended before" in client.get_run(of_gone).data.tags["failure"]
    for run in (living, still_running, elsewhere, untagged):
        assert client.get_run(run).info.status == "RUNNING"
    assert end_lost_runs(client) == []


def test_errors_of_the_store_are_not_raised():
    assert end_lost_runs(None) == []
