"""Delivery: each record once, whatever happens between two of them."""

import json
from unittest.mock import Mock

import pytest
from mlflow.system_metrics import system_metrics_monitor

from outliers_bench.sweeps.mlflow_parent import start_parent
from outliers_bench.tracking import delivery as module
from outliers_bench.tracking import runs
from outliers_bench.tracking.active_run import start_run
from outliers_bench.tracking.delivery import Delivery
from outliers_bench.tracking.log_result import log_result
from outliers_bench.tracking.outbox import Box, Start
from outliers_bench.tracking.records import Record, name_of, read_error, store_file
from outliers_bench.tracking.sender import deliver_all
from tests.results import make_config, make_result, make_split


def record_run(outbox, name, *, sweep=None, cache=None):
    """Put a whole run into the outbox; return its box."""
    config = make_config(outbox.uri, name=name, cache=cache or outbox.cache)
    config.contact_sheets.queries = 0
    split = make_split(name)
    with start_run(config, split, identity=name, sweep=sweep) as run:
        log_result(run, make_result(split), config)
    return run.box


def runs_of(client, name):
    experiment = client.get_experiment_by_name(name)
    return client.search_runs([experiment.experiment_id]) if experiment else []


def lose_writer(box):
    """Make a box look as if it was filled by a process that was killed."""
    values = json.loads((box.path / "box.json").read_text())
    values["writer"]["create_time"] -= 3600
    values["writer"]["since_boot"] -= 3600
    (box.path / "box.json").write_text(json.dumps(values))
    return Box(box.path)


class KilledError(BaseException):
    """A kill -9, as far as the delivery can see."""


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("number", range(3))
def test_a_kill_at_any_call_neither_loses_nor_repeats_anything(
    outbox, client, monkeypatch, number, after
):
    name = f"killed{number}{after}"
    box = record_run(outbox, name)
    assert len(box.pending()) == 3, "start, results, end"
    make, made = Record.make, []

    def make_or_be_killed(record, *arguments):
        if after:
            make(record, *arguments)
        if len(made) == number:
            raise KilledError
        made.append(record)
        if not after:
            make(record, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Record, "make", make_or_be_killed)
        with pytest.raises(KilledError):
            outbox.deliver()
    outbox.deliver()
    (run,) = runs_of(client, name)
    assert run.info.status == "FINISHED"
    assert len(client.get_metric_history(run.info.run_id, "mrr")) == 1
    assert len(run.inputs.dataset_inputs) == 3
    assert run.data.params["model.name"] == "toynet"
    assert not box.path.exists()
    assert box.run.run_id == run.info.run_id


def test_a_kill_while_a_run_is_created_creates_it_once(outbox, client, monkeypatch):
    record_run(outbox, "created")

    def be_killed(*_):
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(Box, "note_run", be_killed)
        with pytest.raises(KilledError):
            outbox.deliver()
    assert len(runs_of(client, "created")) == 1
    outbox.deliver()
    (run,) = runs_of(client, "created")
    assert run.info.status == "FINISHED"


def test_a_kill_while_a_box_is_removed_leaves_one_receipt(outbox, client, monkeypatch):
    box = record_run(outbox, "removed")

    def be_killed(*_):
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(Box, "remove", be_killed)
        with pytest.raises(KilledError):
            outbox.deliver()
    outbox.deliver()
    assert len(runs_of(client, "removed")) == 1
    assert not box.path.exists()
    assert len(list((outbox.path / "sent").iterdir())) == 1


@pytest.mark.parametrize(
    ("name", "damage", "reason"),
    [
        ("bad", lambda text: text.replace('"mrr"', '"m@r"'), "m@r"),
        ("empty", lambda _: "", "JSONDecodeError"),  # after a power cut
    ],
)
def test_an_error_in_a_box_blocks_only_that_box(outbox, client, monkeypatch, name, damage, reason):
    monkeypatch.setattr(module, "RETRY", 0)
    bad = record_run(outbox, name)
    refused = bad.pending()[1]
    text = refused.read_text()
    refused.write_text(damage(text))
    good = record_run(outbox, "good")
    delivery = Delivery(outbox.path, outbox.uri)
    for _ in range(10):
        delivery.deliver()
    assert not good.path.exists()
    assert [run.info.status for run in runs_of(client, name)] == ["RUNNING"]
    message, _ = read_error(bad.error_file)
    assert reason in message
    assert "\n" not in message
    assert read_error(store_file(outbox.path, outbox.uri, "error")) == (None, 0.0)
    refused.write_text(text)
    outbox.deliver()
    assert [run.info.status for run in runs_of(client, name)] == ["FINISHED"]


def test_a_store_that_cannot_be_opened_is_tried_again(outbox, client, monkeypatch):
    monkeypatch.setattr(module, "RETRY", 0)
    box = record_run(outbox, "later")

    def fail(_):
        raise OSError("the network is unreachable")

    delivery, error = (
        Delivery(outbox.path, outbox.uri),
        store_file(outbox.path, outbox.uri, "error"),
    )
    with monkeypatch.context() as patch:
        patch.setattr(module, "open_client", fail)
        assert not delivery.deliver()
    assert read_error(error)[0] == "the network is unreachable"
    assert not box.error_file.exists()
    while delivery.deliver():
        pass
    assert not error.exists()
    assert [run.info.status for run in runs_of(client, "later")] == ["FINISHED"]


def test_a_lost_run_ends_as_killed_after_its_records(outbox, client):
    box = record_run(outbox, "lost")
    box.pending()[-1].unlink()
    outbox.deliver()
    (run,) = runs_of(client, "lost")
    assert run.info.status == "RUNNING", "its process, this one, is alive"
    lose_writer(box)
    outbox.deliver()
    (run,) = runs_of(client, "lost")
    assert run.info.status == "KILLED"
    assert run.data.tags["failure"] == runs.CUT_SHORT
    assert "mrr" in run.data.metrics
    assert run.info.start_time <= run.info.end_time


def test_a_lost_sweep_is_summarized_after_its_lost_jobs(outbox, client):
    sweep = start_parent(outbox.path, outbox.uri, "lost sweep", overrides=["a=1,2"], n_jobs=2)
    done = record_run(outbox, "lost sweep", sweep=sweep)
    job = record_run(outbox, "lost sweep", sweep=sweep)
    job.pending()[-1].unlink()
    outbox.deliver()
    assert not done.path.exists()
    lose_writer(sweep)
    outbox.deliver()
    parent = client.get_run(sweep.run.run_id)
    assert parent.info.status == "RUNNING", "one of its jobs runs"
    lose_writer(job)
    outbox.deliver()
    parent = client.get_run(sweep.run.run_id)
    assert parent.info.status == "KILLED"
    assert parent.data.tags["mlflow.note.content"].startswith("1 of 2 jobs finished, 1 failed")
    assert {run.info.status for run in runs_of(client, "lost sweep")} == {"FINISHED", "KILLED"}


def test_a_box_of_another_host_is_delivered_on_request_only_once_it_has_ended(outbox, client):
    ended, running = (record_run(outbox, "elsewhere") for _ in range(2))
    for box in (ended, running):
        values = json.loads((box.path / "box.json").read_text())
        values["writer"]["host"] = "elsewhere"
        (box.path / "box.json").write_text(json.dumps(values))
    running.pending()[-1].unlink()
    outbox.deliver()
    assert runs_of(client, "elsewhere") == []
    assert deliver_all(outbox.path, outbox.uri)
    (run,) = runs_of(client, "elsewhere")
    assert run.data.tags["outbox.key"] == ended.key
    assert run.info.status == "FINISHED"
    assert running.path.exists()


def test_the_box_of_a_deleted_run_is_removed_once_its_process_needs_it_no_more(
    outbox, client, monkeypatch
):
    monkeypatch.setattr(module, "RETRY", 0)
    box = record_run(outbox, "deleted")
    delivery = Delivery(outbox.path, outbox.uri)
    box.pending()[-1].unlink()
    while delivery.deliver():
        pass
    client.delete_run(box.run.run_id)
    box.add(runs.log_epochs, epochs={"1": {"loss": 0.5}}, time=1)
    delivery.deliver()
    assert box.path.exists()
    assert not box.error_file.exists()
    box.add(runs.end_run, last=True, status="FINISHED", time=2)
    delivery.deliver()
    assert not box.path.exists()


def test_a_job_finds_its_sweep_by_a_tag_without_outbox_and_receipt(outbox, client):
    sweep = start_parent(outbox.path, outbox.uri, "found", overrides=[])
    outbox.deliver()
    parent = sweep.run.run_id
    record_run(outbox, "found", sweep=sweep)
    sweep.remove()
    outbox.deliver()
    (job,) = (run for run in runs_of(client, "found") if run.data.tags["kind"] == "run")
    assert job.data.tags["mlflow.parentRunId"] == parent


def test_calls_outside_the_package_are_refused(outbox, client):
    box = record_run(outbox, "refused")
    path = box.pending()[0]
    values = json.loads(path.read_text())
    path.write_text(json.dumps({**values, "call": "os:system"}))
    outbox.deliver()
    assert "os:system is not a function of outliers_bench" in read_error(box.error_file)[0]


def test_a_live_writer_of_another_box_keeps_the_delivery(outbox):
    delivery = Delivery(outbox.path, outbox.uri)
    assert not delivery.has_writer()
    lost = {"call": name_of(runs.end_run), "arguments": {"status": "KILLED"}}
    start = Start(outbox.uri, "live", "live", {"kind": "run"}, None, lost)
    box = Box.create(outbox.path, start)
    assert delivery.has_writer()
    box.add(runs.end_run, last=True, status="FINISHED", time=0)
    assert not delivery.has_writer()


def test_more_metrics_than_one_request_takes(outbox, client, tmp_path):
    box = record_run(outbox, "many cutoffs")
    outbox.deliver()
    metrics = {f"score_at_{k}": k / 2000 for k in range(1, 1502)}
    runs.log_run(client, box.run.run_id, folder=tmp_path, tags={}, metrics=metrics, time=1)
    recorded = client.get_run(box.run.run_id).data.metrics
    assert {name: recorded[name] for name in metrics} == metrics


def test_the_machine_is_monitored_once_and_only_while_the_run_runs(outbox, monkeypatch):
    monkeypatch.setattr(module, "RETRY", 0)
    monitor = Mock()
    monkeypatch.setattr(system_metrics_monitor, "SystemMetricsMonitor", monitor)
    start = record_run(outbox, "monitored").pending()[0]
    text = start.read_text()
    start.write_text(text.replace('"model.name"', '"m@del"'))
    delivery = Delivery(outbox.path, outbox.uri)
    for _ in range(4):
        delivery.deliver()
    start.write_text(text)
    outbox.deliver()
    assert not start.exists()
    monitor.assert_called_once()
    monitor.return_value.finish.assert_called_once()
    start = record_run(outbox, "monitored").pending()[0]
    values = json.loads(start.read_text())
    values["arguments"]["time"] -= 3_600_000  # it has waited for an hour
    start.write_text(json.dumps(values))
    outbox.deliver()
    assert not start.exists()
    monitor.assert_called_once()
