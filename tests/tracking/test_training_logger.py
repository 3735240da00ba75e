"""Logging of a training in MLflow: curves, artifacts, and one model for all runs that use it."""

import csv
import json
import logging
import math
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from PIL import Image

from outliers_bench.tracking import runs
from outliers_bench.tracking.active_run import start_run
from outliers_bench.tracking.models import link_model
from outliers_bench.tracking.recorder import RecorderError
from outliers_bench.tracking.training_logger import MlflowTrainingLogger, _logged_as
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
def trained(uri, client, tmp_path_factory):
    network = make_network(tmp_path_factory.mktemp("trained") / "network")
    return network, record(uri, network)


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


def test_metrics_are_logged_during_the_training(uri, client):
    with start_run(make_config(uri), make_split(), identity="running") as run:
        logger = MlflowTrainingLogger(run)
        logger.on_epoch_end(1, EPOCHS[0])
        run.submit(runs.log_epochs, {}).result()  # done after the epoch is logged
        run_id = run.confirm().run_id
        assert client.get_run(run_id).info.status == "RUNNING"
        assert history(client, run_id, "loss") == [(1, 2.0)]


def test_epochs_of_an_interrupted_run_are_logged_at_the_end(uri, client, tmp_path):
    run_id = record(uri, make_network(tmp_path), epochs=())
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


def test_a_later_run_shows_the_curves_and_links_to_the_model(trained, uri, client):
    network, first = trained
    run_id = record(uri, replace(network, fresh=False), epochs=())
    assert [v for _, v in history(client, run_id, "loss")] == [2.0, 1.0, 2.0 / 3]
    assert models(client, run_id) == []
    run = client.get_run(run_id)
    assert (run.data.tags["trained_by"], run.data.tags["model_uri"]) == (
        first,
        f"runs:/{first}/model",
    )
    assert [m.model_id for m in run.inputs.model_inputs] == [models(client, first)[0].model_id]
    assert (artifacts(client, run_id) / "pictures" / "training_curves.png").exists()


def test_a_model_that_was_not_logged_in_this_store_is_logged(uri, client, tmp_path):
    network = make_network(tmp_path, fresh=False, example=False)
    run_id = record(uri, network, epochs=())
    assert client.get_run(run_id).data.tags["trained_by"] == run_id
    (model,) = models(client, run_id)
    assert (tmp_path / "run.txt").read_text().startswith(f"runs:/{run_id}/model\n{uri}\n")
    folder = Path(model.artifact_location.removeprefix("file://"))
    assert "saved_input_example_info" not in yaml.safe_load((folder / "MLmodel").read_text())

    # The model is linked unless it is gone.
    assert link_model(client, run_id, f"runs:/{run_id}/model")
    client.delete_run(run_id)
    assert not link_model(client, run_id, f"runs:/{run_id}/model")
    client.restore_run(run_id)
    (folder / "data" / "model.keras").rename(tmp_path / "elsewhere")
    assert not link_model(client, run_id, f"runs:/{run_id}/model")
    (tmp_path / "elsewhere").rename(folder / "data" / "model.keras")
    assert link_model(client, run_id, f"runs:/{run_id}/model")
    client.delete_logged_model(model.model_id)
    assert not link_model(client, run_id, f"runs:/{run_id}/model")
    assert not link_model(client, run_id, "runs:/" + "0" * 32 + "/model")
    assert not link_model(client, run_id, "rubbish")


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
    uri = _logged_as(note, "sqlite:///a.db", "ffff")
    assert uri == ("runs:/1/model" if known else None)


def test_several_networks_of_a_run_have_different_names(uri, client, tmp_path):
    run_id = record(uri, make_network(tmp_path), label="vgg16 @ 8px")
    assert history(client, run_id, "vgg16_8px_loss")[0] == (1, 2.0)
    assert client.get_run(run_id).data.metrics["vgg16_8px_best_epoch"] == 2
    assert "loss" not in client.get_run(run_id).data.metrics
    assert [model.name for model in models(client, run_id)] == ["model_vgg16_8px"]
    assert client.get_run(run_id).data.tags["vgg16_8px_model_uri"].endswith("/model_vgg16_8px")
    folder = artifacts(client, run_id)
    assert (folder / "training" / "vgg16_8px" / "training.csv").exists()
    assert (folder / "pictures" / "vgg16_8px_training_curves.png").exists()


REFUSED = {"lo@ss": 1.0}  # not a valid name of a metric in MLflow


def test_epochs_that_mlflow_refuses_are_reported_once_and_logged_again(
    uri, client, tmp_path, caplog
):
    with start_run(make_config(uri), make_split(), identity="hiccup") as run:
        logger = MlflowTrainingLogger(run)
        for number in (1, 2):
            logger.on_epoch_end(number, REFUSED)
            run.submit(runs.log_epochs, {}).result()  # done after the epoch is logged
        with caplog.at_level(logging.WARNING):
            logger.on_epoch_end(3, EPOCHS[2])
        logger.on_train_end(make_network(tmp_path))
    assert caplog.text.count("lo@ss") == 1
    losses = history(client, run.confirm().run_id, "loss")
    assert sorted(losses) == [(1, 2.0), (2, 1.0), (3, 2.0 / 3)]


def test_a_run_fails_if_mlflow_also_refuses_its_epochs_at_the_end(uri, tmp_path):
    network = replace(make_network(tmp_path), epochs=(REFUSED,))
    with pytest.raises(RecorderError, match="lo@ss"):
        record(uri, network, epochs=())


def test_a_model_that_cannot_be_written_is_removed(uri, client, tmp_path):
    network = make_network(tmp_path)
    (tmp_path / "example.npy").write_bytes(b"no array")
    with pytest.raises(RecorderError):
        record(uri, network)
    run = client.search_runs(
        [client.get_experiment_by_name("toy").experiment_id],
        "tags.identity = 'trained'",
        max_results=1,
    )[0]
    assert run.info.status == "FAILED"
    assert models(client, run.info.run_id) == []
    assert not (tmp_path / "run.txt").exists()
