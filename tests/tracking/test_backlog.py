"""Runs of a sweep that wait to be taken down: few, in order, and none that fails unnoticed."""

from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace

import pytest

from outliers_bench.result import RunHandle
from outliers_bench.tracking import active_run as run_module
from outliers_bench.tracking import backlog as module
from outliers_bench.tracking import provenance, runs
from outliers_bench.tracking.active_run import ActiveRun
from outliers_bench.tracking.backlog import MAX_PENDING, Backlog


def done(error=None):
    future = Future()
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)
    return future


class Asked:
    """A recorder that does nothing until it is told to."""

    def __init__(self):
        self.futures = []
        self.functions = []

    def submit(self, function, *args, **kwargs):
        self.functions.append(function.__name__)
        self.futures.append(Future())
        return self.futures[-1]


@pytest.fixture
def opened(monkeypatch):
    found = Backlog()
    found.begin()
    monkeypatch.setattr(run_module, "backlog", found)
    return found


def recording(asked):
    begun = Future()
    begun.set_result(RunHandle("sqlite:///x.db", "17", "0", "a run", "file:///x"))
    return ActiveRun(asked, begun, ["index=exact"])


def test_only_so_many_runs_wait_and_the_first_is_looked_at_first(capsys):
    waiting = Backlog()
    waiting.begin()
    for number in range(MAX_PENDING):
        waiting.add([f"seed={number}"], [Future()])  # comes back although nothing is done
    waiting._waiting[0][1][0].set_exception(ValueError("the disk is full"))
    waiting.add(["seed=7"], [done()])
    assert capsys.readouterr().err == "error in seed=0: the disk is full\n"
    assert len(waiting._waiting) == MAX_PENDING
    for _, steps in waiting._waiting:
        if not steps[0].done():
            steps[0].set_result(None)
    assert waiting.end() == 1
    assert not waiting.open


def test_a_run_that_fails_at_two_steps_is_told_once(capsys):
    waiting = Backlog()
    waiting.begin()
    waiting.add(["pca.n=3"], [done(ValueError("first")), done(ValueError("second"))])
    assert waiting.end() == 1
    assert capsys.readouterr().err == "error in pca.n=3: first\n"


def test_in_a_sweep_a_job_does_not_wait_for_its_record(tmp_path, opened):
    folder = tmp_path / "found"
    folder.mkdir()
    asked = Asked()
    told = recording(asked)
    told.log_final(artifacts=str(folder), tags={}, metrics={})
    told.finish()
    assert asked.functions == ["note", "end"]
    assert folder.is_dir()  # the recorder has not read it yet
    for future in asked.futures:
        future.set_result(None)
    assert not folder.exists()
    assert opened.end() == 0


@pytest.mark.usefixtures("opened")
def test_the_folder_goes_though_it_could_not_be_taken_down(tmp_path):
    asked = Asked()
    recording(asked).log_final(artifacts=str(tmp_path), tags={}, metrics={})
    asked.futures[0].set_exception(OSError("no space left"))
    assert not tmp_path.exists()


def test_a_run_alone_waits_for_its_record(tmp_path, monkeypatch):
    assert not module.backlog.is_open
    asked = Asked()
    monkeypatch.setattr(asked, "submit", lambda *_, **__: done(ValueError("no space left")))
    with pytest.raises(ValueError, match="no space left"):
        recording(asked).log_final(artifacts=str(tmp_path), tags={}, metrics={})


class Client:
    """Stands for MLflow's; its disk is full."""

    def __init__(self):
        self.ended = {}
        self.tags = {}

    def log_artifacts(self, run_id, folder):
        raise OSError(f"no space left for {Path(folder).name}")

    def set_tag(self, run_id, name, value):
        self.tags[name] = value

    def delete_tag(self, run_id, name):
        self.tags.pop(name, None)

    def set_terminated(self, run_id, status):
        self.ended[run_id] = status


def test_a_run_whose_record_is_not_complete_is_never_finished():
    client = Client()
    with pytest.raises(OSError, match="no space left"):
        runs.log(client, "17", artifacts="/found", tags={}, metrics={})
    runs.end_run(client, "17", "FINISHED")
    assert client.ended == {"17": "FAILED"}
    assert client.tags == {"failure": "OSError: no space left for found"}


def test_versions_are_read_once_in_a_process(monkeypatch):
    provenance.all_versions.cache_clear()
    every, read = list(provenance.metadata.distributions()), []
    monkeypatch.setattr(provenance.metadata, "distributions", lambda: read.append(1) or every)
    known = provenance.all_versions()
    assert provenance.all_versions() == known
    assert read == [1]
    assert known == {each.metadata["Name"]: each.version for each in every}
    provenance.all_versions.cache_clear()


def test_a_distribution_without_a_plain_head_is_read_as_a_whole():
    odd = SimpleNamespace(read_text=lambda _: None, metadata={"Name": "odd"}, version="1.0")
    assert provenance._name_and_version(odd) == ("odd", "1.0")
