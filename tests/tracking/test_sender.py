"""The sender as a process: it outlives the run, and delivers what an earlier one could not."""

import io
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress

import psutil
import pytest
from filelock import FileLock, Timeout
from rich.console import Console

from outliers_bench.runtime import progress
from outliers_bench.tracking import senders
from outliers_bench.tracking.outbox import FOLDER, boxes
from outliers_bench.tracking.records import store_file
from outliers_bench.tracking.sender_process import SenderProcess
from outliers_bench.tracking.store import open_client
from tests.command_line import bench
from tests.results import make_config, make_split

RUN = """
import os, signal, sys
from pathlib import Path
from outliers_bench.sweeps.mlflow_parent import start_parent
from outliers_bench.tracking.active_run import start_run
from outliers_bench.tracking import senders
from tests.results import make_config, make_split
uri, cache = {uri!r}, {cache!r}
senders.announce(Path(cache) / "outbox", uri)
sweep = start_parent(Path(cache) / "outbox", uri, "gone", overrides=["model=a,b"])
config = make_config(uri, name="gone", cache=cache)
with start_run(config, make_split("gone"), identity="gone", sweep=sweep) as run:
    {action}
"""


def run_python(code):
    return subprocess.run([sys.executable, "-c", code], check=False).returncode


def statuses(uri):
    client = open_client(uri)
    experiment = client.get_experiment_by_name("gone")
    found = client.search_runs([experiment.experiment_id]) if experiment else []
    return sorted(run.info.status for run in found)


def send(cache):
    return bench(f"cache={cache}", cwd=cache.parent, module="outliers_bench.tracking.sender")


def wait_until_empty(outbox):
    deadline = time.monotonic() + 120
    while boxes(outbox):
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.parametrize(
    ("action", "code"),
    [
        ("senders.wait_for_run(run.box); os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL),
        # While the sender is still importing.
        ("os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL),
        # A service manager stops both processes, and the sender ignores that.
        pytest.param(
            *("os.kill(senders._senders[sweep.path.parent, uri].pid, 15); sys.exit(143)", 143),
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_process_that_disappears_leaves_no_run_running(fresh_uri, tmp_path, action, code):
    cache = tmp_path / "cache"
    assert run_python(RUN.format(uri=fresh_uri, cache=str(cache), action=action)) == code
    wait_until_empty(cache / FOLDER)
    assert statuses(fresh_uri) == ["KILLED", "KILLED"]


@pytest.mark.slow
def test_what_a_killed_pair_left_is_ended_by_the_next_sender(fresh_uri, tmp_path):
    cache = tmp_path / "cache"
    action = (
        "senders.wait_for_run(run.box); "
        "os.kill(senders._senders[sweep.path.parent, uri].pid, 9); os.kill(os.getpid(), 9)"
    )
    run_python(RUN.format(uri=fresh_uri, cache=str(cache), action=action))
    assert statuses(fresh_uri) == ["RUNNING", "RUNNING"]
    done = send(cache)
    assert (done.code, done.err) == (0, "")
    assert statuses(fresh_uri) == ["KILLED", "KILLED"]
    again = send(cache)
    assert (again.code, again.out) == (0, f"nothing waits in {cache / FOLDER}\n")


def test_what_cannot_be_delivered_is_reported_and_stays(tmp_path):
    cache, uri = tmp_path / "cache", "http://user:secret@127.0.0.1:9"
    assert run_python(RUN.format(uri=uri, cache=str(cache), action="pass")) == 0
    done = send(cache)
    assert done.code == 1
    assert done.err.count("\n") == 1
    assert done.err.startswith(f"2 runs left in {cache / FOLDER} (tracking.uri=http://")
    assert "no MLflow server answers there" in done.err
    assert "secret" not in done.err + done.out
    assert len(boxes(cache / FOLDER)) == 2


def test_an_unused_sender_ends_with_its_starter():
    sender = SenderProcess()
    process = psutil.Process(sender.pid)
    sender.close()
    process.wait(timeout=60)


def test_there_is_one_sender_for_a_store(fresh_uri, tmp_path):
    """The second waits as long as its starter lives, and takes over when the first is killed."""
    outbox = tmp_path / FOLDER
    lock = store_file(outbox, fresh_uri, "lock")
    lock.parent.mkdir(parents=True)

    def start_and_wait(sender):
        senders._senders.clear()
        senders.spare.append(sender)
        senders.announce(outbox, fresh_uri)
        wait_until_held()

    def wait_until_held():
        deadline = time.monotonic() + 60
        with suppress(Timeout):
            while time.monotonic() < deadline:
                FileLock(lock).acquire(timeout=0).lock.release()
                time.sleep(0.5)
            pytest.fail("no sender has the lock")

    first, second = SenderProcess(), SenderProcess()
    start_and_wait(first)
    start_and_wait(second)
    assert second.is_alive
    first.kill()
    wait_until_held()
    process = psutil.Process(second.pid)
    senders._senders.clear()
    second.close()
    process.wait(timeout=60)


def test_a_sender_without_starter_leaves_what_the_sender_of_another_command_has(
    outbox, monkeypatch
):
    """Else each command leaves a process while another one is at work and MLflow is down."""
    from outliers_bench.tracking import sender
    from outliers_bench.tracking.active_run import start_run

    with start_run(make_config(outbox.uri, cache=outbox.cache), make_split(), identity="x") as run:
        pass
    lock = store_file(outbox.path, outbox.uri, "lock")
    lock.parent.mkdir()
    ended = []

    def start_sender():
        starter = sender.Starter([])
        work = lambda: ended.append(sender.deliver_all(outbox.path, outbox.uri, starter))  # noqa: E731
        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        return thread

    with monkeypatch.context() as patch, FileLock(lock):
        patch.setattr(sender, "_LAST_ATTEMPT", 0.2)
        start_sender().join(10)
        assert ended == [False]
    with FileLock(lock):  # of one that ends, and does not look again
        thread = start_sender()
        time.sleep(0.5)
    thread.join(60)
    assert ended == [False, True]
    assert not run.box.path.exists()


def test_a_sender_works_without_its_log(fresh_uri, tmp_path):
    """It may belong to another user of the cache."""
    cache = tmp_path / "cache"
    (cache / FOLDER / "sender.log").mkdir(parents=True)
    assert run_python(RUN.format(uri=fresh_uri, cache=str(cache), action="pass")) == 0
    wait_until_empty(cache / FOLDER)
    assert statuses(fresh_uri) == ["FINISHED", "KILLED"]


def test_waiting_is_shown_and_ends_when_nothing_makes_progress(tmp_path, monkeypatch):
    """As with a server that hangs: the box stays, and says how to deliver it."""
    from outliers_bench.tracking.active_run import start_run

    monkeypatch.setattr(senders, "announce", lambda *_: None)
    monkeypatch.setattr(senders, "_replace_sender", lambda _: None)
    monkeypatch.setattr(senders, "PATIENCE", 0.3)
    terminal = Console(file=io.StringIO(), force_terminal=True)
    monkeypatch.setattr(progress, "_console", lambda: terminal)
    uri = "http://127.0.0.1:9"
    with start_run(make_config(uri, cache=tmp_path), make_split(), identity="x") as run:
        pass
    begin = time.monotonic()
    (message,) = senders.finish()
    assert time.monotonic() - begin < 5
    assert "waiting until MLflow has what was recorded" in terminal.file.getvalue()
    assert message == (
        f"1 run is not in MLflow yet, but waits in {tmp_path / FOLDER} (tracking.uri={uri} does "
        "not answer); deliver it with: python -m outliers_bench.tracking.sender "
        f"cache={tmp_path}"
    )
    assert run.box.path.exists()
    assert senders.finish() == [], "reported once"


def test_waiting_ends_at_a_new_error_but_not_at_an_old_one(outbox, monkeypatch):
    from outliers_bench.tracking import records as files
    from outliers_bench.tracking.active_run import start_run

    monkeypatch.setattr(senders, "_replace_sender", lambda _: None)
    with start_run(make_config(outbox.uri, cache=outbox.cache), make_split(), identity="x") as run:
        pass
    files.write_error(store_file(outbox.path, outbox.uri, "error"), "it was away")
    monkeypatch.setattr(senders.time, "sleep", lambda _: outbox.deliver())
    assert senders.finish() == []
    assert not run.box.path.exists()
    with start_run(make_config(outbox.uri, cache=outbox.cache), make_split(), identity="x") as run:
        pass
    monkeypatch.setattr(
        senders.time,
        "sleep",
        lambda _: files.write_error(run.box.error_file, "MLflow refuses it"),
    )
    (message,) = senders.finish()
    assert "(MLflow refuses it)" in message


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
def test_a_sender_takes_no_signals_of_a_terminal():
    sender = SenderProcess()
    process = psutil.Process(sender.pid)
    time.sleep(1)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        process.send_signal(number)
    time.sleep(0.2)
    assert sender.is_alive
    sender.kill()


def test_a_cache_that_does_not_exist_is_a_mistake(tmp_path):
    done = send(tmp_path / "nowhere")
    assert done.code == 2
    assert "there is no such folder" in done.err
    assert len(done.err.splitlines()) == 1
