"""A training in MLflow: its curves, its model, and the model found again by its address."""

import csv
import json
import logging
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from mlflow.entities import LoggedModelStatus
from mlflow.models import Model
from PIL import Image

from outliers_bench.errors import BenchError
from outliers_bench.runtime.training_observer import TrainedNetwork
from outliers_bench.tracking import runs
from outliers_bench.tracking.active_run import start_run
from outliers_bench.tracking.models import check_model_uri, download_model, link_model
from outliers_bench.tracking.recorder import RecorderError
from outliers_bench.tracking.training_logger import MlflowTrainingLogger, _logged_as
from tests.results import make_config, make_split

EPOCHS = tuple(
    {
        "loss": 2.0 / number,
        "accuracy": number / 10,
        "val_loss": math.inf if number == 3 else 3.0 / number,
        "learning_rate": 0.001,
        "seconds": 0.5,
    }
    for number in (1, 2, 3)
)


def make_network(folder, *, fresh=True, example=True):
    """A finished training; nobody opens its network in these tests."""
    folder.mkdir(exist_ok=True)
    (folder / "model.keras").write_bytes(b"a network")
    (folder / "summary.txt").write_text("Total params: 26")
    if example:
        np.save(folder / "example.npy", np.full((1, 8, 8, 3), 127.456, np.float32))
    return TrainedNetwork(folder, "toynet 8px", EPOCHS, 2, ("ant", "bee", "ölm"), 8, fresh)


def record(uri, network, *, seen=EPOCHS, label=None):
    """A run that trains the network, or finds it trained."""
    with start_run(make_config(uri), make_split(), identity="trained") as recording:
        watcher = MlflowTrainingLogger(recording)
        if label:
            watcher = watcher.named(label)
        for number, figures in enumerate(seen, 1):
            watcher.confirm()
            watcher.epoch(number, figures)
        watcher.trained(network)
        return recording.confirm().run_id


def history(client, run_id, name):
    return [(m.step, m.value) for m in client.get_metric_history(run_id, name)]


def artifacts(client, run_id):
    return Path(client.get_run(run_id).info.artifact_uri.removeprefix("file://"))


def models(client, run_id):
    experiment = client.get_run(run_id).info.experiment_id
    found = client.search_logged_models([experiment])
    return [model for model in found if model.source_run_id == run_id]


@pytest.fixture(scope="module")
def trained(uri, client, tmp_path_factory):
    network = make_network(tmp_path_factory.mktemp("trained") / "network")
    return network, record(uri, network)


@pytest.fixture(autouse=True)
def hardly_drawn(monkeypatch):
    """Drawing takes time; the run of `trained` is begun before this, and has its picture."""
    picture = Image.new("RGB", (1, 1))
    monkeypatch.setattr(
        "outliers_bench.tracking.training_logger.training_curves", lambda *_: picture
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


def test_figures_are_there_while_the_training_goes_on(uri, client):
    with start_run(make_config(uri), make_split(), identity="going on") as recording:
        watcher = MlflowTrainingLogger(recording)
        watcher.epoch(1, EPOCHS[0])
        recording.submit(runs.log_epochs, {}).result()  # its turn comes after the epoch's
        run_id = recording.confirm().run_id
        assert client.get_run(run_id).info.status == "RUNNING"
        assert history(client, run_id, "loss") == [(1, 2.0)]


def test_epochs_that_only_an_interrupted_run_has_seen_are_recorded_at_the_end(
    uri, client, tmp_path
):
    run_id = record(uri, make_network(tmp_path), seen=())
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


def test_the_network_is_a_ready_model_of_the_run(trained, client):
    _, run_id = trained
    (model,) = models(client, run_id)
    assert (model.name, model.status) == ("model", LoggedModelStatus.READY)
    assert model.params["model.name"] == "toynet"
    (output,) = client.get_run(run_id).outputs.model_outputs
    assert (output.model_id, output.step) == (model.model_id, 2)
    said = {metric.key: metric.value for metric in model.metrics}
    assert (said["loss"], said["val_loss"]) == (1.0, 1.5)
    tags = client.get_run(run_id).data.tags
    assert (tags["trained_by"], tags["model_uri"]) == (run_id, f"runs:/{run_id}/model")


def test_mlflow_reads_signature_example_and_classes(trained, client):
    (logged,) = models(client, trained[1])
    folder = Path(logged.artifact_location.removeprefix("file://"))
    model = Model.load(str(folder))
    (pixels,), (scores,) = model.signature.inputs, model.signature.outputs
    assert (pixels.type, pixels.shape) == (np.dtype("float32"), (-1, 8, 8, 3))
    assert (scores.type, scores.shape) == (np.dtype("float32"), (-1, 3))
    assert model.metadata["classes"] == ["ant", "bee", "ölm"]
    assert (model.run_id, model.model_id) == (trained[1], logged.model_id)
    assert model.flavors["keras"]["data"] == "data"
    assert "mlflow.keras" in model.flavors["python_function"]["loader_module"]
    example = model.load_input_example(str(folder))
    assert (example.shape, example.dtype) == ((1, 8, 8, 3), np.float32)
    assert example.flat[0] == pytest.approx(127.46)
    assert (folder / "data" / "model.keras").read_bytes() == b"a network"
    assert not (folder / "data" / "model.keras").is_symlink()
    requirements = (folder / "requirements.txt").read_text().splitlines()
    assert {line.split("==")[0] for line in requirements} == {"mlflow", "keras", "tensorflow"}


def test_a_later_run_shows_the_curves_and_refers_to_the_model(trained, uri, client):
    network, first = trained
    run_id = record(uri, replace(network, fresh=False), seen=())
    assert [v for _, v in history(client, run_id, "loss")] == [2.0, 1.0, 2.0 / 3]
    assert models(client, run_id) == []
    run = client.get_run(run_id)
    assert (run.data.tags["trained_by"], run.data.tags["model_uri"]) == (
        first,
        f"runs:/{first}/model",
    )
    assert [m.model_id for m in run.inputs.model_inputs] == [models(client, first)[0].model_id]
    assert (artifacts(client, run_id) / "pictures" / "training_curves.png").exists()


def test_a_model_that_nobody_knows_is_logged_again(uri, client, tmp_path):
    network = make_network(tmp_path, fresh=False, example=False)
    run_id = record(uri, network, seen=())
    assert client.get_run(run_id).data.tags["trained_by"] == run_id
    (model,) = models(client, run_id)
    assert (tmp_path / "run.txt").read_text().startswith(f"runs:/{run_id}/model\n{uri}\n")
    folder = Path(model.artifact_location.removeprefix("file://"))
    assert "saved_input_example_info" not in yaml.safe_load((folder / "MLmodel").read_text())

    # The same model, once it is gone.
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
def test_a_note_of_who_logged_a_network_counts_for_its_store_and_weights(written, known, tmp_path):
    note = tmp_path / "run.txt"
    if written is not None:
        note.write_bytes(written)
    found = _logged_as(note, "sqlite:///a.db", "ffff")
    assert found == ("runs:/1/model" if known else None)


def test_several_networks_of_a_run_are_told_apart(uri, client, tmp_path):
    run_id = record(uri, make_network(tmp_path), label="vgg16 @ 8px")
    assert history(client, run_id, "vgg16_8px_loss")[0] == (1, 2.0)
    assert client.get_run(run_id).data.metrics["vgg16_8px_best_epoch"] == 2
    assert "loss" not in client.get_run(run_id).data.metrics
    assert [model.name for model in models(client, run_id)] == ["model_vgg16_8px"]
    assert client.get_run(run_id).data.tags["vgg16_8px_model_uri"].endswith("/model_vgg16_8px")
    folder = artifacts(client, run_id)
    assert (folder / "training" / "vgg16_8px" / "training.csv").exists()
    assert (folder / "pictures" / "vgg16_8px_training_curves.png").exists()


REFUSED = {"lo@ss": 1.0}  # no name for a metric, says MLflow


def test_what_mlflow_did_not_take_is_said_once_and_sent_again(uri, client, tmp_path, caplog):
    with start_run(make_config(uri), make_split(), identity="hiccup") as recording:
        watcher = MlflowTrainingLogger(recording)
        for number in (1, 2):
            watcher.epoch(number, REFUSED)
            recording.submit(runs.log_epochs, {}).result()  # its turn comes after the epoch's
        with caplog.at_level(logging.WARNING):
            watcher.epoch(3, EPOCHS[2])
        watcher.trained(make_network(tmp_path))
    assert caplog.text.count("lo@ss") == 1
    found = history(client, recording.confirm().run_id, "loss")
    assert sorted(found) == [(1, 2.0), (2, 1.0), (3, 2.0 / 3)]


def test_where_mlflow_does_not_take_it_at_the_end_either_the_run_fails(uri, tmp_path):
    network = replace(make_network(tmp_path), epochs=(REFUSED,))
    with pytest.raises(RecorderError, match="lo@ss"):
        record(uri, network, seen=())


def test_a_model_that_cannot_be_written_leaves_no_half_of_it(uri, client, tmp_path):
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


def test_a_network_is_found_by_run_by_model_and_in_the_registry(trained, client, tmp_path):
    _, run_id = trained
    (model,) = models(client, run_id)
    client.create_registered_model("animals")
    client.create_model_version("animals", model.artifact_location, run_id)
    client.set_registered_model_alias("animals", "best", "1")
    expected = Path(model.artifact_location.removeprefix("file://")) / "data" / "model.keras"
    for uri in (
        f"runs:/{run_id}/model",
        f"runs:/{run_id}",
        f"runs:/{run_id}/",
        f"models:/{model.model_id}",
        "models:/animals/1",
        "models:/animals@best",
    ):
        assert download_model(client, uri, str(tmp_path)) == str(expected)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "uri",
    ["runs:/", "runs:abc", "runs://abc/model", "models:/", "models:/a/b/c", "models:/a/prod"],
)
def test_a_malformed_address_is_refused_without_asking_mlflow(uri):
    with pytest.raises(BenchError, match="no URI of a model; write runs:/<run id>/model"):
        check_model_uri(uri)


def refused(client, uri, tmp_path):
    with pytest.raises(BenchError) as caught:
        download_model(client, uri, str(tmp_path))
    said = str(caught.value)
    assert said.startswith(f"model.weights={uri}: ")
    assert "\n" not in said
    return said


def test_an_unknown_run_or_model_says_where_it_was_looked_for(client, trained, tmp_path):
    for uri in ("runs:/" + "0" * 32, "models:/m-" + "0" * 32, "models:/nobody/3", "models:/n@x"):
        assert "knows no such run or model in tracking.uri=sqlite" in refused(client, uri, tmp_path)
    assert "there is no model in" in refused(client, f"runs:/{trained[1]}/other", tmp_path)


def test_a_model_of_another_flavor_is_refused(client, trained, tmp_path):
    run_id = trained[1]
    (tmp_path / "MLmodel").write_text("flavors: {sklearn: {}, python_function: {}}")
    client.log_artifacts(run_id, str(tmp_path), "forest")
    assert "no Keras model (its flavors: sklearn;" in refused(
        client, f"runs:/{run_id}/forest", tmp_path
    )


def test_a_model_that_is_not_complete_is_refused(client, trained, tmp_path):
    experiment = client.get_run(trained[1]).info.experiment_id
    half = client.create_logged_model(experiment, name="model")
    said = refused(client, f"models:/{half.model_id}", tmp_path)
    assert "the model is pending, not complete" in said


@pytest.mark.slow
def test_mlflow_and_keras_read_what_was_logged(uri, client, tmp_path):
    from outliers_bench.engines.tensorflow import import_tensorflow

    import_tensorflow()
    import keras
    import mlflow

    layers = [keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(3)]
    keras_model = keras.Sequential([*layers, keras.layers.Softmax()])
    network = make_network(tmp_path / "network")
    keras_model.save(network.folder / "model.keras")
    address = f"runs:/{record(uri, network)}/model"
    pixels = np.random.default_rng(0).uniform(0, 255, (2, 8, 8, 3)).astype(np.float32)
    expected = keras_model.predict(pixels, verbose=0)
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(uri)
    try:
        loaded = mlflow.keras.load_model(address)
        served = mlflow.pyfunc.load_model(address)
    finally:
        mlflow.set_tracking_uri(before)
    np.testing.assert_array_equal(loaded.predict(pixels, verbose=0), expected)
    np.testing.assert_array_equal(served.predict(pixels), expected)
    again = keras.saving.load_model(download_model(client, address, str(tmp_path)))
    np.testing.assert_array_equal(again.predict(pixels, verbose=0), expected)

    # What MLflow would have written itself.
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    ours = Path(download_model(client, address, str(tmp_path))).parent.parent
    model = Model.load(str(ours))
    mlflow.keras.save_model(
        keras_model,
        str(theirs),
        signature=model.signature,
        input_example=np.load(network.folder / "example.npy"),
        pip_requirements=["mlflow"],
    )
    for part in ("flavors", "signature", "saved_input_example_info"):
        known = yaml.safe_load((theirs / "MLmodel").read_text())[part]
        assert yaml.safe_load((ours / "MLmodel").read_text())[part] == known
    names = {str(path.relative_to(theirs)) for path in theirs.rglob("*")}
    assert names == {str(path.relative_to(ours)) for path in ours.rglob("*")}
