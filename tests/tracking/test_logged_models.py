"""Trained networks in MLflow: readable by MLflow and Keras, and found by URI."""

from pathlib import Path

import numpy as np
import pytest
import yaml
from mlflow.entities import LoggedModelStatus
from mlflow.models import Model

from outliers_bench.errors import BenchError
from outliers_bench.tracking.models import check_model_uri, download_model
from tests.tracking.logged_networks import make_network, models, record


@pytest.fixture(scope="module")
def trained(module_outbox):
    network = make_network(module_outbox.cache / "network")
    return network, record(module_outbox, network)


def test_the_network_is_a_ready_model_of_the_run(trained, client):
    _, run_id = trained
    (model,) = models(client, run_id)
    assert (model.name, model.status) == ("model", LoggedModelStatus.READY)
    assert model.params["model.name"] == "toynet"
    (output,) = client.get_run(run_id).outputs.model_outputs
    assert (output.model_id, output.step) == (model.model_id, 2)
    metrics = {metric.key: metric.value for metric in model.metrics}
    assert (metrics["loss"], metrics["val_loss"]) == (1.0, 1.5)
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
def test_a_malformed_uri_is_refused_without_accessing_mlflow(uri):
    with pytest.raises(BenchError, match="not the URI of a model; use runs:/<run id>/model"):
        check_model_uri(uri)


def error_of(client, uri, tmp_path):
    with pytest.raises(BenchError) as caught:
        download_model(client, uri, str(tmp_path))
    message = str(caught.value)
    assert message.startswith(f"model.weights={uri}: ")
    assert "\n" not in message
    return message


def test_an_unknown_run_or_model_is_reported_with_the_store(client, trained, tmp_path):
    for uri in ("runs:/" + "0" * 32, "models:/m-" + "0" * 32, "models:/unknown/3", "models:/n@x"):
        message = error_of(client, uri, tmp_path)
        assert "there is no such run or model in tracking.uri=sqlite" in message
    assert "there is no model in" in error_of(client, f"runs:/{trained[1]}/other", tmp_path)


def test_a_model_of_another_flavor_is_refused(client, trained, tmp_path):
    run_id = trained[1]
    (tmp_path / "MLmodel").write_text("flavors: {sklearn: {}, python_function: {}}")
    client.log_artifacts(run_id, str(tmp_path), "forest")
    assert "not a Keras model (its flavors: sklearn;" in error_of(
        client, f"runs:/{run_id}/forest", tmp_path
    )


def test_a_model_that_is_not_complete_is_refused(client, trained, tmp_path):
    experiment = client.get_run(trained[1]).info.experiment_id
    half = client.create_logged_model(experiment, name="model")
    message = error_of(client, f"models:/{half.model_id}", tmp_path)
    assert "the model is pending, not complete" in message


@pytest.mark.slow
def test_mlflow_and_keras_read_what_was_logged(uri, outbox, client, tmp_path):
    from outliers_bench.engines.tensorflow import import_tensorflow

    import_tensorflow()
    import keras
    import mlflow

    layers = [keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(3)]
    keras_model = keras.Sequential([*layers, keras.layers.Softmax()])
    network = make_network(tmp_path / "network")
    keras_model.save(network.folder / "model.keras")
    model_uri = f"runs:/{record(outbox, network)}/model"
    pixels = np.random.default_rng(0).uniform(0, 255, (2, 8, 8, 3)).astype(np.float32)
    expected = keras_model.predict(pixels, verbose=0)
    previous = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(uri)
    try:
        loaded = mlflow.keras.load_model(model_uri)
        served = mlflow.pyfunc.load_model(model_uri)
    finally:
        mlflow.set_tracking_uri(previous)
    np.testing.assert_array_equal(loaded.predict(pixels, verbose=0), expected)
    np.testing.assert_array_equal(served.predict(pixels), expected)
    downloaded = keras.saving.load_model(download_model(client, model_uri, str(tmp_path)))
    np.testing.assert_array_equal(downloaded.predict(pixels, verbose=0), expected)

    # Compared with the folder that MLflow writes.
    expected_folder = tmp_path / "expected"
    expected_folder.mkdir()
    folder = Path(download_model(client, model_uri, str(tmp_path))).parent.parent
    model = Model.load(str(folder))
    mlflow.keras.save_model(
        keras_model,
        str(expected_folder),
        signature=model.signature,
        input_example=np.load(network.folder / "example.npy"),
        pip_requirements=["mlflow"],
    )
    for part in ("flavors", "signature", "saved_input_example_info"):
        expected = yaml.safe_load((expected_folder / "MLmodel").read_text())[part]
        assert yaml.safe_load((folder / "MLmodel").read_text())[part] == expected
    names = {str(path.relative_to(expected_folder)) for path in expected_folder.rglob("*")}
    assert names == {str(path.relative_to(folder)) for path in folder.rglob("*")}
