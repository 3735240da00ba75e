"""Runs whose process is gone: ended as KILLED; those of the living and of other hosts are not."""

import json
import os
import subprocess
import sys

import pytest

from outliers_bench.tracking import sweep as sweeps
from outliers_bench.tracking.lost import end_lost_runs
from outliers_bench.tracking.process import is_gone, process_tag, works_for
from outliers_bench.tracking.store import experiment_id
from outliers_bench.tracking.sweep import start_parent


def tag(**changes):
    return json.dumps({**json.loads(process_tag()), **changes})


@pytest.fixture(scope="module")
def dead():
    """The tag of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        works_for(process.pid)
        told = process_tag()
        works_for(os.getpid())
        process.communicate(b"\n")
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


def test_after_a_restart_of_the_machine_its_processes_are_gone():
    told = json.loads(process_tag())
    if told["machine"] and told["boot"]:
        assert is_gone(tag(boot="an earlier one"))
    assert not is_gone(tag(boot="an earlier one", machine=""))


def test_lost_runs_and_sweeps_are_ended_and_the_others_left(client, monkeypatch, dead):
    monkeypatch.setattr(sweeps, "_log_leaderboard", lambda *_: None)
    place = experiment_id(client, "lost")

    def begun(process, **tags):
        tags = {"kind": "run", "process": process, **tags}
        return client.create_run(place, tags=tags).info.run_id

    def sweep(process):
        parent = start_parent(client, "lost", overrides=["seed=0,1"])
        client.set_tag(parent, "process", process)
        return parent

    gone, living = sweep(dead), sweep(dead)
    of_gone = begun(dead, **{"mlflow.parentRunId": gone})
    still_running = begun(process_tag(), **{"mlflow.parentRunId": living})
    elsewhere = begun(json.dumps({**json.loads(dead), "host": "another"}))
    untold = client.create_run(place).info.run_id

    assert end_lost_runs(client) == [of_gone, gone]
    status = {run: client.get_run(run).info.status for run in (gone, of_gone)}
    assert set(status.values()) == {"KILLED"}
    assert "ended before" in client.get_run(of_gone).data.tags["failure"]
    for run in (living, still_running, elsewhere, untold):
        assert client.get_run(run).info.status == "RUNNING"
    assert end_lost_runs(client) == []


def test_a_store_that_fails_harms_nobody():
    assert end_lost_runs(None) == []
