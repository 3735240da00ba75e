"""The outbox: boxes, records, receipts, and the processes that fill them."""

import json
import os
import platform
import subprocess
import sys
from dataclasses import replace

import pytest

from outliers_bench.result import RunHandle
from outliers_bench.tracking import outbox, records, runs
from outliers_bench.tracking.outbox import Box, Start, Writer, boxes, keys_of_run, waiting
from outliers_bench.tracking.records import (
    Record,
    find_receipt,
    function_named,
    is_last,
    name_of,
    receipts_of,
    without_password,
)

URI = "http://somebody:secret@127.0.0.1:9"


def start(**changes):
    values = {
        "uri": URI,
        "experiment": "toy",
        "name": "a run",
        "tags": {"kind": "run"},
        "parent": None,
        "if_lost": {"call": name_of(runs.end_run), "arguments": {"status": "KILLED"}},
    }
    return Start(**{**values, **changes})


def handle(run_id="f" * 32):
    return RunHandle(URI, run_id, "1", "a run", "mlflow-artifacts:/1")


def test_records_are_read_in_the_order_they_were_written(tmp_path):
    box = Box.create(tmp_path, start())
    for step in range(20):
        box.add(runs.log_epochs, epochs={str(step): {"loss": 0.5}}, time=step)
    box.add(runs.end_run, last=True, status="FINISHED", time=99)
    paths = Box(box.path).pending()
    pending = [Record.read(path) for path in paths]
    assert [record.arguments["time"] for record in pending] == [*range(20), 99]
    assert [is_last(path) for path in paths] == [False] * 20 + [True]
    assert box.is_ended
    assert box.last_arguments() == {"status": "FINISHED", "time": 99}
    assert Box(box.path).start == box.start


def test_records_are_read_once_each_while_a_sender_renames_them(tmp_path):
    box = Box.create(tmp_path, start())
    for step in range(3):
        box.add(runs.log_epochs, epochs={}, time=step)
    read = []
    for record in box.records():
        read.append(record.arguments["time"])
        for path in box.pending():
            path.rename(path.with_suffix(".sent"))
    assert read == [0, 1, 2]
    assert [record.arguments["time"] for record in box.records()] == [0, 1, 2]


def test_boxes_are_sorted_and_what_is_half_made_is_no_box(tmp_path):
    first, second = (Box.create(tmp_path, start()) for _ in range(2))
    (tmp_path / f".{first.key}").mkdir()
    (tmp_path / "sent").mkdir()
    assert [box.key for box in boxes(tmp_path)] == [first.key, second.key]
    assert boxes(tmp_path / "nowhere") == []


def test_only_functions_of_this_package_are_called():
    assert function_named(name_of(runs.end_run)) is runs.end_run
    for call in (
        "os:system",
        "outliers_bench_other.x:y",
        "outliers_bench.tracking.runs:json",
        "outliers_bench.tracking.runs:nothing",
        "outliers_bench.tracking.outbox:RunHandle",  # of another module
        "",
    ):
        with pytest.raises(ValueError, match="is not a function of outliers_bench"):
            function_named(call)


def test_this_process_is_alive_and_one_that_ended_is_gone():
    writer = Writer.current()
    assert not writer.is_gone
    other_clock = replace(writer, create_time=writer.create_time - 60)
    assert not other_clock.is_gone, "the clock was set"
    assert replace(other_clock, since_boot=writer.since_boot - 60).is_gone, "the id was used again"
    assert not replace(writer, since_boot=writer.since_boot - 60).is_gone, "the clock was set"
    code = (
        "import json, time; from dataclasses import asdict\n"
        "from outliers_bench.tracking.outbox import Writer\n"
        "print(json.dumps(asdict(Writer.current())))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    ended = Writer(**json.loads(done.stdout))
    assert ended.host == platform.node()
    assert ended.is_gone
    elsewhere = replace(ended, host="elsewhere")
    assert not elsewhere.is_gone, "that cannot be known here"
    assert not elsewhere.is_here


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs zombies")
def test_a_zombie_is_gone():
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    import psutil

    created = psutil.Process(process.pid).create_time()
    since_boot = created - psutil.boot_time()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert Writer(platform.node(), process.pid, created, since_boot).is_gone
    process.wait()


def test_a_receipt_replaces_the_box_and_has_no_password(tmp_path):
    parent = Box.create(tmp_path, start())
    box = Box.create(tmp_path, start(parent=parent.key))
    box.new_folder().joinpath("table.csv").write_text("1")
    assert box.run is None
    box.note_run(handle())
    box.finish(handle(), "FINISHED")
    assert not box.path.exists()
    receipt = find_receipt(tmp_path, box.key)
    assert (receipt.run.run_id, receipt.status) == ("f" * 32, "FINISHED")
    assert list(receipts_of(tmp_path, parent.key).values()) == [receipt]
    assert Box(box.path).run.run_id == "f" * 32
    assert keys_of_run(tmp_path, "ffff") == [box.key]
    assert keys_of_run(tmp_path, "0000") == []
    assert not [path for path in tmp_path.rglob("sent/*") if "secret" in path.read_text()]


def test_the_newest_receipts_stay(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "MAX_RECEIPTS", 2)
    keys = []
    for number in range(4):
        box = Box.create(tmp_path, start())
        box.finish(handle(f"{number:032x}"), "FINISHED")
        keys.append(box.key)
    assert [find_receipt(tmp_path, key) is not None for key in keys] == [False, False, True, True]


def test_the_receipts_of_a_running_sweep_stay(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "MAX_RECEIPTS", 2)
    earlier, sweep = (Box.create(tmp_path, start()) for _ in range(2))
    earlier.finish(handle(), "FINISHED")
    for number in range(4):
        box = Box.create(tmp_path, start(parent=sweep.key))
        box.finish(handle(f"{number:032x}"), "FINISHED")
    assert len(receipts_of(tmp_path, sweep.key)) == 4
    assert find_receipt(tmp_path, earlier.key) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("no answer from http://me:p@ss@host:5000/a@b", "no answer from http://host:5000/a@b"),
        ("sqlite:////home/me@work/mlflow.db", "sqlite:////home/me@work/mlflow.db"),
        ("http://host:5000", "http://host:5000"),
    ],
)
def test_a_password_is_removed(text, expected):
    assert without_password(text) == expected


def test_boxes_of_another_user_are_left_alone(tmp_path, monkeypatch):
    box = Box.create(tmp_path, start())
    assert [found.key for found in boxes(tmp_path)] == [box.key]
    other = box.path.stat().st_uid + 1
    monkeypatch.setattr(outbox, "_owner", lambda _: other)
    assert boxes(tmp_path) == []


def test_boxes_that_have_ended_wait(tmp_path):
    live, ended, other = (
        Box.create(tmp_path, start(uri=uri)) for uri in (URI, URI, "sqlite:////x.db")
    )
    for box in (ended, other):
        box.add(runs.end_run, last=True, status="FINISHED", time=0)
    assert [box.key for box in waiting(tmp_path, URI)] == [ended.key]
    assert not live.is_ended
    for text in ("damaged", "{}"):
        (tmp_path / ended.key / "box.json").write_text(text)
        assert waiting(tmp_path, URI) == []
