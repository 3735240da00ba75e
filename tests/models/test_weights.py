"""Weight files in all formats of Keras: either all arrays are loaded, or none."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from outliers_bench.errors import BenchError
from outliers_bench.models.backbone import Backbone
from tests.models.saved_networks import (
    PIXELS,
    SIZE,
    features,
    keras_model,
    randomize,
    save_as_keras_releases,
)

SHARED = Path(os.environ.get("OUTLIERS_BENCH_SHARED", "/nowhere")) / "weights"


def mobilenet(weights: Path | str, size: int = SIZE) -> Backbone:
    return Backbone("mobilenet", size, "MobileNet", 1024, weights=str(weights))


@pytest.mark.parametrize("top", [False, True], ids=["no top", "top"])
@pytest.mark.slow
def test_all_formats_give_the_same_features(tmp_path: Path, top: bool) -> None:
    import keras

    model = keras_model("MobileNet", top=top)
    randomize(model)
    # The average of the feature map, without the layers after it.
    pooled = keras.Model(
        model.input,
        next(la for la in model.layers if "GlobalAverage" in type(la).__name__).output,
    )
    expected = np.asarray(pooled(PIXELS / 127.5 - 1, training=False)).reshape(2, 1024)
    files = [tmp_path / name for name in ("a.weights.h5", "whole.h5", "whole.keras", "legacy.h5")]
    model.save_weights(files[0])
    model.save(files[1])
    model.save(files[2])
    save_as_keras_releases(model, files[3])
    for file in files:
        np.testing.assert_allclose(features(mobilenet(file)), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_a_backbone_within_a_saved_model_is_loaded(tmp_path: Path) -> None:
    import keras

    file = tmp_path / "wrapped.keras"
    model = keras_model("MobileNet", top=False)
    randomize(model)
    head = keras.Sequential([keras.Input((SIZE, SIZE, 3)), model, keras.layers.Dense(7)])
    head.compile("adam", "mse")
    head.optimizer.build(head.trainable_variables)  # its state is saved too, but is not a layer
    head.save(file)
    expected = np.asarray(model(PIXELS / 127.5 - 1, training=False))
    np.testing.assert_allclose(features(mobilenet(file)), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_nested_layers_are_loaded(tmp_path: Path) -> None:
    """ConvNeXt has nested Sequential models, and a layer normalization after the pooling."""
    import keras
    from keras.src.applications.convnext import ConvNeXt

    from outliers_bench.models.load_weights import load_weights

    def tiny(*, top: bool) -> Any:
        keras.utils.clear_session()
        return ConvNeXt(
            depths=[1, 1, 1, 1],
            projection_dims=[4, 8, 12, 16],
            include_top=top,
            weights=None,
            weights_name="convnext_tiny",
            input_shape=(SIZE, SIZE, 3),
            pooling=None if top else "avg",
            classes=5,
        )

    for top in (False, True):
        saved = tiny(top=top)
        randomize(saved)
        files = [tmp_path / f"{top}.weights.h5", tmp_path / f"{top}.h5"]
        saved.save_weights(files[0])
        saved.save(files[1])
        expected = saved.get_weights()
        for file in files:
            network = tiny(top=False)
            load_weights(network, file, model="tiny")
            for loaded, original in zip(network.get_weights(), expected, strict=False):
                np.testing.assert_array_equal(loaded, original)


SUFFIXES = (".weights.h5", ".h5", ".keras")
PAIRS = (
    ("VGG19", "VGG16", 512),
    ("VGG16", "VGG19", 512),
    ("MobileNet", "MobileNetV2", 1280),
    ("MobileNetV2", "MobileNet", 1024),
)
# All but one are marked as slow, because building networks takes seconds.
QUICK = (("VGG16", ".weights.h5"),)


@pytest.mark.parametrize(
    ("saved", "name", "dim", "suffix"),
    [
        pytest.param(*pair, suffix, marks=() if (pair[0], suffix) in QUICK else (pytest.mark.slow,))
        for pair in PAIRS
        for suffix in SUFFIXES
    ],
)
def test_the_file_of_another_network_is_refused(
    tmp_path: Path, saved: str, name: str, dim: int, suffix: str
) -> None:
    file = tmp_path / f"{saved}{suffix}"
    model = keras_model(saved, top=False)
    if suffix == ".weights.h5":
        model.save_weights(file)
    else:
        model.save(file)
    with pytest.raises(BenchError) as caught:
        Backbone(name.lower(), SIZE, name, dim, weights=str(file)).build()
    message = str(caught.value)
    assert message.startswith(f"{file}: these are not the weights of {name.lower()}: ")
    assert "\n" not in message


@pytest.mark.slow
def test_a_deeper_network_of_the_same_kind_is_refused(tmp_path: Path) -> None:
    """All arrays of the network are in the file, as ResNet50's first stages are in ResNet101."""
    import keras

    from outliers_bench.models.load_weights import load_weights

    def chain(depth: int) -> Any:
        keras.utils.clear_session()
        layers = [keras.layers.Conv2D(3, 3, padding="same") for _ in range(depth)]
        return keras.Sequential(
            [keras.Input((8, 8, 3)), *layers, keras.layers.GlobalAveragePooling2D()]
        )

    for suffix in (".weights.h5", ".h5"):
        file = tmp_path / f"deep{suffix}"
        deep = chain(4)
        deep.save_weights(file) if suffix == ".weights.h5" else deep.save(file)
        network = chain(3)
        original = network.get_weights()
        with pytest.raises(BenchError, match=r"neither in shallow nor .* \(1\): "):
            load_weights(network, file, model="shallow")
        for array, unchanged in zip(network.get_weights(), original, strict=True):
            np.testing.assert_array_equal(array, unchanged)
        with pytest.raises(BenchError, match="the file has no arrays for the layer"):
            load_weights(chain(5), file, model="deeper")


def test_other_files_are_refused(tmp_path: Path) -> None:
    import h5py
    import keras

    from outliers_bench.models.load_weights import load_weights

    layers = [keras.layers.Conv2D(32, 3, use_bias=False), keras.layers.GlobalAveragePooling2D()]
    network = keras.Sequential([keras.Input((SIZE, SIZE, 3)), *layers])
    valid = tmp_path / "valid.weights.h5"
    network.save_weights(valid)
    load_weights(network, valid, model="tiny")
    names = ("truncated", "text", "other", "external")
    truncated, text, other, external = (tmp_path / f"{name}.h5" for name in names)
    truncated.write_bytes(valid.read_bytes()[:3000])
    text.write_text("<html>404</html>")
    with h5py.File(other, "w") as file:
        file["numbers"] = [1.0, 2.0]
    with h5py.File(external, "w") as file:
        file.create_dataset(
            "layers/conv2d/vars/0", (3, 3, 3, 32), "f4", external=[("/etc/passwd", 0, 3456)]
        )
    (original,) = network.get_weights()
    for path in (truncated, text, other, external):
        with pytest.raises(BenchError, match=path.name):
            load_weights(network, path, model="tiny")
        np.testing.assert_array_equal(network.get_weights()[0], original)


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.is_dir(), reason="OUTLIERS_BENCH_SHARED is not set")
def test_googles_mobilenet_is_loaded_and_refused_by_other_networks() -> None:
    file = SHARED / "mobilenet_1.0_224_notop.weights.h5"
    assert features(mobilenet(file)).std() > 0.1
    for name, keras_name, dim in (
        ("mobilenetv2", "MobileNetV2", 1280),
        ("vgg16", "VGG16", 512),
    ):
        with pytest.raises(BenchError, match=f"not the weights of {name}"):
            Backbone(name, SIZE, keras_name, dim, weights=str(file)).build()
    second = SHARED / "mobilenetv2_1.0_224_notop.weights.h5"
    assert features(Backbone("v2", SIZE, "MobileNetV2", 1280, weights=str(second))).std() > 0.1
