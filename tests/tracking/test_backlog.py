"""Backlog of a sweep: limited, in order, and every failure is reported."""

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


class FakeRecorder:
    """A recorder whose requests stay pending until a test completes them."""

    def __init__(self):
        self.futures = []
        self.functions = []

    def submit(self, function, *args, **kwargs):
        self.functions.append(function.__name__)
        self.futures.append(Future())
        return self.futures[-1]


@pytest.fixture
def open_backlog(monkeypatch):
    backlog = Backlog()
    backlog.begin()
    monkeypatch.setattr(run_module, "backlog", backlog)
    return backlog


def active_run(recorder):
    handle = Future()
    handle.set_result(RunHandle("sqlite:///x.db", "17", "0", "a run", "file:///x"))
    return ActiveRun(recorder, handle, ["index=exact"])


def test_the_number_of_pending_runs_is_limited_and_the_first_is_checked_first(capsys):
    waiting = Backlog()
    waiting.begin()
    for number in range(MAX_PENDING):
        waiting.add([f"seed={number}"], [Future()])  # returns although it is not done
    waiting._pending[0][1][0].set_exception(ValueError("the disk is full"))
    waiting.add(["seed=7"], [done()])
    assert capsys.readouterr().err == "error in seed=0: the disk is full\n"
    assert len(waiting._pending) == MAX_PENDING
    for _, steps in waiting._pending:
        if not steps[0].done():
            steps[0].set_result(None)
    assert waiting.end() == 1
    assert not waiting.is_open


def test_a_run_that_fails_twice_is_reported_once(capsys):
    waiting = Backlog()
    waiting.begin()
    waiting.add(["pca.n=3"], [done(ValueError("first")), done(ValueError("second"))])
    assert waiting.end() == 1
    assert capsys.readouterr().err == "error in pca.n=3: first\n"


def test_in_a_sweep_a_job_does_not_wait_until_it_is_recorded(tmp_path, open_backlog):
    folder = tmp_path / "artifacts"
    folder.mkdir()
    recorder = FakeRecorder()
    run = active_run(recorder)
    run.log_final(artifacts=str(folder), tags={}, metrics={})
    run.finish()
    assert recorder.functions == ["log_run", "end_run"]
    assert folder.is_dir()  # not read by the recorder yet
    for future in recorder.futures:
        future.set_result(None)
    assert not folder.exists()
    assert open_backlog.end() == 0


@pytest.mark.usefixtures("open_backlog")
def test_the_folder_is_removed_even_if_it_cannot_be_logged(tmp_path):
    recorder = FakeRecorder()
    active_run(recorder).log_final(artifacts=str(tmp_path), tags={}, metrics={})
    recorder.futures[0].set_exception(OSError("no space left"))
    assert not tmp_path.exists()


def test_a_single_run_waits_until_it_is_recorded(tmp_path, monkeypatch):
    assert not module.backlog.is_open
    recorder = FakeRecorder()
    monkeypatch.setattr(recorder, "submit", lambda *_, **__: done(ValueError("no space left")))
    with pytest.raises(ValueError, match="no space left"):
        active_run(recorder).log_final(artifacts=str(tmp_path), tags={}, metrics={})


class Client:
    """Fake MLflow client with a full disk."""

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


def test_a_run_that_is_not_logged_completely_does_not_finish():
    client = Client()
    with pytest.raises(OSError, match="no space left"):
        runs.log_run(client, "17", artifacts="/artifacts", tags={}, metrics={})
    runs.end_run(client, "17", "FINISHED")
    assert client.ended == {"17": "FAILED"}
    assert client.tags == {"failure": "OSError: no space left for artifacts"}


def test_versions_are_read_once_per_process(monkeypatch):
    provenance.all_versions.cache_clear()
    installed, reads = list(provenance.metadata.distributions()), []
    monkeypatch.setattr(provenance.metadata, "distributions", lambda: reads.append(1) or installed)
    versions = provenance.all_versions()
    assert provenance.all_versions() == versions
    assert reads == [1]
    assert versions == {dist.metadata["Name"]: dist.version for dist in installed}
    provenance.all_versions.cache_clear()


def test_a_distribution_without_plain_headers_is_parsed_in_full():
    odd = SimpleNamespace(read_text=lambda _: None, metadata={"Name": "odd"}, version="1.0")
    assert provenance._name_and_version(odd) == ("odd", "1.0")
