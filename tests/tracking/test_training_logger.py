"""Logging of a training in MLflow: curves, artifacts, and one model for all runs that use it."""

import csv
import json
import math
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import yaml
from mlflow.entities import LoggedModelStatus
from PIL import Image

from outliers_bench.tracking import logged_models
from outliers_bench.tracking.active_run import start_run
from outliers_bench.tracking.logged_models import link_model, logged_as
from outliers_bench.tracking.records import Record, read_error
from outliers_bench.tracking.training_logger import MlflowTrainingLogger
from tests.results import make_config, make_split
from tests.tracking.logged_networks import (
    EPOCHS,
    artifacts,
    history,
    make_network,
    models,
    record,
)


@pytest.fixture(scope="module")
def trained(module_outbox):
    network = make_network(module_outbox.cache / "network")
    return network, record(module_outbox, network)


@pytest.fixture(autouse=True)
def stub_curves(monkeypatch):
    """Skip slow drawing; the run of `trained` is recorded before and has a real picture."""
    picture = Image.new("RGB", (1, 1))
    monkeypatch.setattr(
        "outliers_bench.tracking.training_logger.plot_training_curves", lambda *_: picture
    )


def test_every_epoch_is_a_step_of_each_metric(trained, client):
    _, run_id = trained
    assert history(client, run_id, "loss") == [(1, 2.0), (2, 1.0), (3, 2.0 / 3)]
    assert history(client, run_id, "accuracy") == [(1, 0.1), (2, 0.2), (3, 0.3)]
    assert history(client, run_id, "epoch_seconds") == [(1, 0.5), (2, 0.5), (3, 0.5)]
    assert history(client, run_id, "learning_rate")[2] == (3, 0.001)
    assert math.isnan(history(client, run_id, "val_loss")[2][1])
    metrics = client.get_run(run_id).data.metrics
    assert (metrics["epochs"], metrics["best_epoch"]) == (3, 2)


def test_metrics_are_logged_during_the_training(outbox, client):
    config = make_config(outbox.uri, cache=outbox.cache)
    with start_run(config, make_split(), identity="running") as run:
        MlflowTrainingLogger(run).on_epoch_end(1, EPOCHS[0])
        outbox.deliver()
        run_id = run.box.run.run_id
        assert client.get_run(run_id).info.status == "RUNNING"
        assert history(client, run_id, "loss") == [(1, 2.0)]


def test_epochs_of_an_interrupted_run_are_logged_at_the_end(outbox, client, tmp_path):
    run_id = record(outbox, make_network(tmp_path), epochs=())
    assert sorted(history(client, run_id, "loss")) == [(1, 2.0), (2, 1.0), (3, 2.0 / 3)]


def test_picture_table_and_summary_are_artifacts(trained, client):
    folder = artifacts(client, trained[1])
    assert (folder / "training" / "summary.txt").read_text() == "Total params: 26"
    assert json.loads((folder / "training" / "classes.json").read_text()) == ["ant", "bee", "ölm"]
    with (folder / "training" / "training.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert [float(row["val_loss"]) for row in rows] == [3.0, 1.5, math.inf]
    assert (folder / "pictures" / "training_curves.png").stat().st_size > 10_000


def test_a_later_run_shows_the_curves_and_links_to_the_model(trained, outbox, client):
    network, first = trained
    run_id = record(outbox, replace(network, fresh=False), epochs=())
    assert [v for _, v in history(client, run_id, "loss")] == [2.0, 1.0, 2.0 / 3]
    assert models(client, run_id) == []
    run = client.get_run(run_id)
    assert (run.data.tags["trained_by"], run.data.tags["model_uri"]) == (
        first,
        f"runs:/{first}/model",
    )
    assert [m.model_id for m in run.inputs.model_inputs] == [models(client, first)[0].model_id]
    assert (artifacts(client, run_id) / "pictures" / "training_curves.png").exists()


def test_a_model_that_was_not_logged_in_this_store_is_logged(outbox, client, tmp_path):
    network = make_network(tmp_path, fresh=False, example=False)
    run_id = record(outbox, network, epochs=())
    assert client.get_run(run_id).data.tags["trained_by"] == run_id
    (model,) = models(client, run_id)
    assert (tmp_path / "run.txt").read_text().startswith(f"runs:/{run_id}/model\n{outbox.uri}\n")
    folder = Path(model.artifact_location.removeprefix("file://"))
    assert "saved_input_example_info" not in yaml.safe_load((folder / "MLmodel").read_text())

    # The model is linked unless it is gone.
    assert link_model(client, run_id, uri=f"runs:/{run_id}/model")
    client.delete_run(run_id)
    assert not link_model(client, run_id, uri=f"runs:/{run_id}/model")
    client.restore_run(run_id)
    (folder / "data" / "model.keras").rename(tmp_path / "elsewhere")
    assert not link_model(client, run_id, uri=f"runs:/{run_id}/model")
    (tmp_path / "elsewhere").rename(folder / "data" / "model.keras")
    assert link_model(client, run_id, uri=f"runs:/{run_id}/model")
    client.delete_logged_model(model.model_id)
    assert not link_model(client, run_id, uri=f"runs:/{run_id}/model")
    assert not link_model(client, run_id, uri="runs:/" + "0" * 32 + "/model")
    assert not link_model(client, run_id, uri="rubbish")


@pytest.mark.parametrize(
    ("written", "known"),
    [
        (b"runs:/1/model\nsqlite:///a.db\nffff\n", True),
        (b"runs:/1/model\nsqlite:///b.db\nffff\n", False),  # another store
        (b"runs:/1/model\nsqlite:///a.db\neeee\n", False),  # of other weights
        (b"runs:/1/model\n", False),
        (b"\xff", False),
        (None, False),
    ],
)
def test_the_record_of_a_logged_network_is_valid_for_its_store_and_weights(
    written, known, tmp_path
):
    note = tmp_path / "run.txt"
    if written is not None:
        note.write_bytes(written)
    uri = logged_as(note, "sqlite:///a.db", "ffff")
    assert uri == ("runs:/1/model" if known else None)


def test_several_networks_of_a_run_have_different_names(outbox, client, tmp_path):
    run_id = record(outbox, make_network(tmp_path), label="vgg16 @ 8px")
    assert history(client, run_id, "vgg16_8px_loss")[0] == (1, 2.0)
    assert client.get_run(run_id).data.metrics["vgg16_8px_best_epoch"] == 2
    assert "loss" not in client.get_run(run_id).data.metrics
    assert [model.name for model in models(client, run_id)] == ["model_vgg16_8px"]
    assert client.get_run(run_id).data.tags["vgg16_8px_model_uri"].endswith("/model_vgg16_8px")
    folder = artifacts(client, run_id)
    assert (folder / "training" / "vgg16_8px" / "training.csv").exists()
    assert (folder / "pictures" / "vgg16_8px_training_curves.png").exists()


def test_a_model_that_cannot_be_written_waits_and_is_logged_once(outbox, client, tmp_path):
    network = make_network(tmp_path / "network")
    (network.folder / "example.npy").write_bytes(b"no array")
    config = make_config(outbox.uri, cache=outbox.cache)
    with start_run(config, make_split(), identity="trained") as run:
        MlflowTrainingLogger(run).on_train_end(network)
    outbox.deliver()
    run_id = run.box.run.run_id
    assert [m.status for m in models(client, run_id)] == [LoggedModelStatus.PENDING]
    assert "ValueError" in read_error(run.box.error_file)[0]
    assert not (network.folder / "run.txt").exists()
    (example,) = run.box.path.glob("files/*/example.npy")
    np.save(example, np.zeros((1, 8, 8, 3), np.float32))
    outbox.deliver()
    assert not run.box.path.exists()
    assert [m.status for m in models(client, run_id)] == [LoggedModelStatus.READY]
    assert client.get_run(run_id).info.status == "FINISHED"


def test_a_network_is_linked_within_the_outbox(outbox, tmp_path, monkeypatch):
    """The folder for temporary files may be on another file system, and small."""
    link = Mock(wraps=logged_models.link_file)
    monkeypatch.setattr(logged_models, "link_file", link)
    record(outbox, make_network(tmp_path / "network"))
    (((file, target), _),) = link.call_args_list
    assert file.is_relative_to(outbox.path)
    assert target.is_relative_to(outbox.path)


def test_repeated_calls_log_a_network_once(outbox, client, tmp_path, monkeypatch):
    """As after a kill between each call and the note that it was made."""
    seen = []

    def make_twice(record, *arguments):
        make(record, *arguments)
        seen.append(record.call)
        make(record, *arguments)

    make = Record.make
    monkeypatch.setattr(Record, "make", make_twice)
    run_id = record(outbox, make_network(tmp_path / "network"))
    assert len(seen) == len(set(map(str, seen))) + 2, "three epochs"
    run = client.get_run(run_id)
    (model,) = models(client, run_id)
    assert [output.model_id for output in run.outputs.model_outputs] == [model.model_id]
    assert run.inputs.model_inputs == []
    assert history(client, run_id, "loss") == [(1, 2.0), (2, 1.0), (3, 2.0 / 3)]
    assert sorted(m.key for m in model.metrics) == sorted({m.key for m in model.metrics})
