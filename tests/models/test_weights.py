"""Files of weights in every format Keras writes: all of it loads, or none and a reason."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from outliers_bench.errors import BenchError
from outliers_bench.models.backbone import Backbone
from outliers_bench.models.efficientnet import IMAGENET_MEAN, IMAGENET_STD

SIZE = 32
PIXELS = np.random.default_rng(0).uniform(0, 255, (2, SIZE, SIZE, 3)).astype(np.float32)
SHARED = Path(os.environ.get("OUTLIERS_BENCH_SHARED", "/nowhere")) / "weights"


def mobilenet(weights: Path | str, size: int = SIZE) -> Backbone:
    return Backbone("mobilenet", size, "MobileNet", 1024, weights=str(weights))


def features(backbone: Backbone) -> np.ndarray:
    return np.asarray(backbone.build()(PIXELS, training=False))


def keras_model(name: str, *, top: bool, seed: int = 1, size: int = SIZE) -> Any:
    import keras

    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)
    constructor = getattr(keras.applications, name)
    options = {"classes": 5} if top else {"pooling": "avg"}
    return constructor(weights=None, include_top=top, input_shape=(size, size, 3), **options)


def stir(model: Any) -> None:
    """Make statistics that fresh layers share differ, so that a swap would be seen."""
    random = np.random.default_rng(0)
    for variable in model.weights:
        if len(variable.shape) == 1:
            variable.assign(random.uniform(0.5, 1.5, variable.shape))


@pytest.mark.parametrize("top", [False, True], ids=["no top", "top"])
@pytest.mark.slow
def test_every_format_gives_the_same_features(tmp_path: Path, top: bool) -> None:
    import keras

    model = keras_model("MobileNet", top=top)
    stir(model)
    # The feature map's average, whatever stands above it.
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


def save_as_keras_releases(model: Any, path: Path) -> None:
    import h5py
    from keras.src.legacy.saving.legacy_h5_format import save_weights_to_hdf5_group

    with h5py.File(path, "w") as file:
        save_weights_to_hdf5_group(file, model)
        del file["top_level_model_weights"]


@pytest.mark.slow
def test_a_backbone_within_a_saved_model_is_found(tmp_path: Path) -> None:
    import keras

    file = tmp_path / "wrapped.keras"
    model = keras_model("MobileNet", top=False)
    stir(model)
    head = keras.Sequential([keras.Input((SIZE, SIZE, 3)), model, keras.layers.Dense(7)])
    head.compile("adam", "mse")
    head.optimizer.build(head.trainable_variables)  # its state is saved too, and is no layer
    head.save(file)
    expected = np.asarray(model(PIXELS / 127.5 - 1, training=False))
    np.testing.assert_allclose(features(mobilenet(file)), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_nested_layers_are_found(tmp_path: Path) -> None:
    """ConvNeXt keeps its downsampling in Sequentials, and a layer norm after the pooling."""
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
        stir(saved)
        files = [tmp_path / f"{top}.weights.h5", tmp_path / f"{top}.h5"]
        saved.save_weights(files[0])
        saved.save(files[1])
        kept = saved.get_weights()
        for file in files:
            network = tiny(top=False)
            load_weights(network, file, model="tiny")
            for ours, theirs in zip(network.get_weights(), kept, strict=False):
                np.testing.assert_array_equal(ours, theirs)


SUFFIXES = (".weights.h5", ".h5", ".keras")
PAIRS = (
    ("VGG19", "VGG16", 512),
    ("VGG16", "VGG19", 512),
    ("MobileNet", "MobileNetV2", 1280),
    ("MobileNetV2", "MobileNet", 1024),
)
# Building networks takes seconds, so all but one are slow.
QUICK = (("VGG16", ".weights.h5"),)


@pytest.mark.parametrize(
    ("saved", "wanted", "dim", "suffix"),
    [
        pytest.param(*pair, suffix, marks=() if (pair[0], suffix) in QUICK else (pytest.mark.slow,))
        for pair in PAIRS
        for suffix in SUFFIXES
    ],
)
def test_another_networks_file_is_refused(
    tmp_path: Path, saved: str, wanted: str, dim: int, suffix: str
) -> None:
    file = tmp_path / f"{saved}{suffix}"
    model = keras_model(saved, top=False)
    if suffix == ".weights.h5":
        model.save_weights(file)
    else:
        model.save(file)
    with pytest.raises(BenchError) as caught:
        Backbone(wanted.lower(), SIZE, wanted, dim, weights=str(file)).build()
    message = str(caught.value)
    assert message.startswith(f"{file}: these are not the weights of {wanted.lower()}: ")
    assert "\n" not in message


@pytest.mark.slow
def test_a_deeper_network_of_the_same_kind_is_refused(tmp_path: Path) -> None:
    """A chain whose first part fits array by array, as ResNet101's first stages fit ResNet50."""
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
        before = network.get_weights()
        with pytest.raises(BenchError, match=r"neither in shallow nor .* \(1\): "):
            load_weights(network, file, model="shallow")
        for ours, theirs in zip(network.get_weights(), before, strict=True):
            np.testing.assert_array_equal(ours, theirs)
        with pytest.raises(BenchError, match="the file has no arrays for the layer"):
            load_weights(chain(5), file, model="deeper")


def test_what_is_no_file_of_weights_is_refused(tmp_path: Path) -> None:
    import h5py
    import keras

    from outliers_bench.models.load_weights import load_weights

    layers = [keras.layers.Conv2D(32, 3, use_bias=False), keras.layers.GlobalAveragePooling2D()]
    network = keras.Sequential([keras.Input((SIZE, SIZE, 3)), *layers])
    good = tmp_path / "good.weights.h5"
    network.save_weights(good)
    load_weights(network, good, model="tiny")
    cut, text, other, elsewhere = (tmp_path / f"{n}.h5" for n in ("cut", "text", "other", "else"))
    cut.write_bytes(good.read_bytes()[:3000])
    text.write_text("<html>404</html>")
    with h5py.File(other, "w") as file:
        file["numbers"] = [1.0, 2.0]
    with h5py.File(elsewhere, "w") as file:
        file.create_dataset(
            "layers/conv2d/vars/0", (3, 3, 3, 32), "f4", external=[("/etc/passwd", 0, 3456)]
        )
    (before,) = network.get_weights()
    for path in (cut, text, other, elsewhere):
        with pytest.raises(BenchError, match=path.name):
            load_weights(network, path, model="tiny")
        np.testing.assert_array_equal(network.get_weights()[0], before)


def efficientnet(weights: Path | str) -> Backbone:
    return Backbone("efficientnetb0", SIZE, "EfficientNetB0", 1280, weights=str(weights))


def small_efficientnet(weights: str | None) -> Any:
    import keras
    from keras.src.applications.efficientnet import DEFAULT_BLOCKS_ARGS, EfficientNet

    keras.utils.clear_session()
    return EfficientNet(
        0.25,
        1.0,
        SIZE,
        blocks_args=DEFAULT_BLOCKS_ARGS[:1],
        weights=weights,
        weights_name="b0",
        include_top=False,
        pooling="avg",
        input_shape=(SIZE, SIZE, 3),
    )


def full_efficientnet(weights: str | None) -> Any:
    import keras

    keras.utils.clear_session()
    return keras.applications.EfficientNetB0(
        include_top=False, weights=weights, pooling="avg", input_shape=(SIZE, SIZE, 3)
    )


def assert_alike(found: Any, expected: Any) -> None:
    """Equal but for rounding, which a deep network with random weights makes larger."""
    assert np.abs(np.asarray(found) - expected).max() <= 1e-3 * np.abs(expected).max()


@pytest.mark.slow
@pytest.mark.parametrize("construct", [small_efficientnet, full_efficientnet])
def test_efficientnet_from_a_file_is_the_imagenet_variant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, construct: Any
) -> None:
    import keras
    from keras.src.utils import file_utils

    from outliers_bench.models.efficientnet import restore_imagenet_rescaling
    from outliers_bench.models.load_weights import load_weights

    def loaded(file: Path) -> Any:
        network = construct(None)
        load_weights(network, file, model="b0")
        restore_imagenet_rescaling(network)
        return network

    keras.utils.set_random_seed(0)
    # weights="imagenet" builds a graph of its own; a file of ours stands in for its download.
    release = tmp_path / "download.h5"
    plain = construct(None)
    stir(plain)
    normalization = next(la for la in plain.layers if isinstance(la, keras.layers.Normalization))
    normalization.load_own_variables({"0": IMAGENET_MEAN, "1": IMAGENET_STD**2, "2": np.array(1)})
    save_as_keras_releases(plain, release)
    without_rescaling = np.asarray(plain(PIXELS, training=False))
    monkeypatch.setattr(file_utils, "get_file", lambda *_, **__: str(release))
    imagenet = construct("imagenet")
    saved = tmp_path / "saved.weights.h5"
    imagenet.save_weights(saved)
    expected = np.asarray(imagenet(PIXELS, training=False))
    assert np.abs(without_rescaling - expected).max() > 1e-2 * np.abs(expected).max()

    for file in (release, saved):
        ours = loaded(file)
        assert_alike(ours(PIXELS, training=False), expected)

    # What we save loads again as it is: nothing is folded in twice.
    again = tmp_path / "again.weights.h5"
    ours.save_weights(again)
    assert_alike(loaded(again)(PIXELS, training=False), expected)


@pytest.mark.slow
def test_efficientnet_trained_without_imagenets_normalization_is_left_alone(
    tmp_path: Path,
) -> None:
    file = tmp_path / "scratch.weights.h5"
    model = keras_model("EfficientNetB0", top=False)
    model.save_weights(file)
    expected = np.asarray(model(PIXELS, training=False))
    np.testing.assert_allclose(features(efficientnet(file)), expected, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.is_dir(), reason="OUTLIERS_BENCH_SHARED is not set")
def test_googles_mobilenet_loads_and_is_refused_elsewhere() -> None:
    file = SHARED / "mobilenet_1.0_224_notop.weights.h5"
    found = features(mobilenet(file))
    assert found.std() > 0.1
    for name, keras_name, dim in (
        ("mobilenetv2", "MobileNetV2", 1280),
        ("vgg16", "VGG16", 512),
    ):
        with pytest.raises(BenchError, match=f"not the weights of {name}"):
            Backbone(name, SIZE, keras_name, dim, weights=str(file)).build()
    second = SHARED / "mobilenetv2_1.0_224_notop.weights.h5"
    assert features(Backbone("v2", SIZE, "MobileNetV2", 1280, weights=str(second))).std() > 0.1
