"""Runs whose process is gone: ended as KILLED; those of the living and of other hosts are not."""

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
from outliers_bench.tracking.runs import end_run, end_lost_run
from outliers_bench.tracking.store import experiment_id

_READ = process._read


def tag(**changes):
    return json.dumps({**json.loads(process_tag()), **changes})


@pytest.fixture(scope="module")
def dead():
    """The tag of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as ended:
        set_worker(ended.pid)
        told = process_tag()
        set_worker(os.getpid())
        ended.communicate(b"\n")
    return told


def test_a_process_is_gone_only_where_that_is_certain(dead):
    assert is_gone(dead)
    assert not is_gone(process_tag())
    # A later process that was given the number.
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
    ("told", "here", "local", "gone"),
    [
        ({"boot": "earlier"}, {}, True, True),
        ({"boot": "earlier"}, {}, False, False),  # a server: another machine of the same image
        ({"boot": "earlier", "machine": ""}, {"machine": ""}, True, False),
        ({"boot": "earlier", "machine": "another"}, {}, True, False),
        # Containers of one image have the same machine id and may have the same name.
        ({"boot": "earlier", "pids": "pid:[9]"}, {"pids": "pid:[9]"}, True, False),
        ({"boot": "earlier", "pids": "pid:[9]"}, {}, True, False),
        ({}, {}, False, True),  # the same boot: only its processes are asked
        ({"boot": "", "pids": ""}, {"boot": "", "pids": ""}, False, False),
    ],
)
def test_after_a_restart_only_what_surely_ran_here_is_gone(told, here, local, gone, monkeypatch):
    monkeypatch.setattr(process, "process_namespace", lambda: HOST | here)
    monkeypatch.setattr(process, "_is_alive", lambda pid, start: False)
    tag = json.dumps({**HOST, **told, "pid": 1, "start": 0.5})
    assert is_gone(tag, local=local) is gone


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux'")
@pytest.mark.parametrize(
    ("raised", "gone"), [(PermissionError, False), (None, False), (ProcessLookupError, True)]
)
def test_another_users_process_lives_though_proc_hides_it(raised, gone, monkeypatch):
    """Mounted with hidepid, /proc shows nothing of it."""

    def kill(pid, signal):
        assert signal == 0
        if raised:
            raise raised

    told = process_tag()
    monkeypatch.setattr(process, "_read", lambda path: "" if "/stat" in path else _READ(path))
    monkeypatch.setattr(os, "kill", kill)
    assert is_gone(told) is gone


def test_a_run_wrongly_taken_for_lost_is_finished_in_the_end(client):
    run = client.create_run(experiment_id(client, "lost")).info.run_id
    end_lost_run(client, run)
    assert "failure" in client.get_run(run).data.tags
    end_run(client, run, "FINISHED")
    assert client.get_run(run).info.status == "FINISHED"
    assert "failure" not in client.get_run(run).data.tags


def test_lost_runs_and_sweeps_are_ended_and_the_others_left(client, monkeypatch, dead):
    monkeypatch.setattr(sweeps, "_log_leaderboard", lambda *_: None)
    place = experiment_id(client, "lost")

    def begun(worker, **tags):
        tags = {"kind": "run", "process": worker, **tags}
        return client.create_run(place, tags=tags).info.run_id

    def sweep(worker):
        parent = start_parent(client, "lost", overrides=["seed=0,1"], n_jobs=6)
        client.set_tag(parent, "process", worker)
        return parent

    gone, living = sweep(dead), sweep(dead)
    of_gone = begun(dead, **{"mlflow.parentRunId": gone})
    still_running = begun(process_tag(), **{"mlflow.parentRunId": living})
    elsewhere = begun(json.dumps({**json.loads(dead), "host": "another"}))
    untold = client.create_run(place).info.run_id

    assert end_lost_runs(client) == [of_gone, gone]
    status = {run: client.get_run(run).info.status for run in (gone, of_gone)}
    assert set(status.values()) == {"KILLED"}
    note = client.get_run(gone).data.tags["mlflow.note.content"]
    assert note.startswith("0 of 6 jobs finished, 1 failed, 5 not begun")
    assert "ended before" in client.get_run(of_gone).data.tags["failure"]
    for run in (living, still_running, elsewhere, untold):
        assert client.get_run(run).info.status == "RUNNING"
    assert end_lost_runs(client) == []


def test_a_store_that_fails_harms_nobody():
    assert end_lost_runs(None) == []
