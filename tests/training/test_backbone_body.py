"""Backbones as bodies of trained networks: frozen or trained, flattened or pooled."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from outliers_bench.errors import BenchError
from outliers_bench.models.backbone import Backbone
from outliers_bench.models.pooling import Pooling
from outliers_bench.training.networks import (
    Trainable,
    build_backbone_body,
    set_trainable,
)
from tests.training.network_toys import PHOTOS, SIDE, pixels_of, toy_network

HEAD_ONLY, LAST_LAYERS, ALL = Trainable.head_only, Trainable.last_layers, Trainable.all


class ToyBackbone(Backbone):
    def network(self, *, pretrained: bool) -> Any:
        return toy_network()


@pytest.mark.parametrize("pooling", [Pooling.flatten, Pooling.gem])
@pytest.mark.slow
def test_a_backbone_is_built_with_the_current_dtype_policy(pooling: Pooling) -> None:
    import keras

    base = ToyBackbone("toy", SIDE, "VGG16", 5, weights="random", pooling=pooling)
    outputs = []
    for precision in ("mixed_float16", "float32"):
        keras.config.set_dtype_policy(precision)
        try:
            network = base.bare()
            pixels = pixels_of(SIDE)
            body = build_backbone_body(pixels, network, base)
        finally:
            keras.config.set_dtype_policy("float32")
        assert body.vector.dtype == precision.removeprefix("mixed_")
        assert {str(weight.dtype) for weight in network.trainable_weights} == {"float32"}
        outputs.append(np.asarray(keras.Model(pixels, body.vector)(PHOTOS)))
    np.testing.assert_allclose(*outputs, atol=0.02)


# VGG16's preprocessing reverses the channels by indexing.
BASE = Backbone("toy", SIDE, "VGG16", 5, weights="random")


@pytest.mark.parametrize(
    ("pooling", "trainable"),
    [(Pooling.avg, HEAD_ONLY), *((pooling, LAST_LAYERS) for pooling in Pooling)],
)
def test_a_frozen_network_computes_the_same_in_training_as_in_inference(
    pooling: Pooling, trainable: Trainable, tmp_path: Path
) -> None:
    import keras

    network = toy_network()
    set_trainable(network, trainable, ["second"], keras_name="Toy")
    pixels = pixels_of(SIDE)
    body = build_backbone_body(pixels, network, replace(BASE, pooling=pooling))
    model = keras.Model(pixels, [body.vector, body.pooled])
    assert model.get_layer("backbone").output
    expected = model(PHOTOS, training=False)
    initial = [np.asarray(weight) for weight in network.get_layer("norm").weights]
    for output, inference in zip(model(PHOTOS, training=True), expected, strict=True):
        np.testing.assert_array_equal(output, inference)
    for weight, before in zip(network.get_layer("norm").weights, initial, strict=True):
        np.testing.assert_array_equal(weight, before)

    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    for output, inference in zip(loaded(PHOTOS, training=True), expected, strict=True):
        np.testing.assert_array_equal(output, inference)
    assert len(loaded.trainable_weights) == (2 if trainable is LAST_LAYERS else 0)


def test_a_fully_trained_network_computes_differently_in_training() -> None:
    import keras

    network = toy_network()
    set_trainable(network, ALL, keras_name="Toy")
    assert network.get_layer("drop").rate == 0.5
    pixels = pixels_of(SIDE)
    model = keras.Model(pixels, build_backbone_body(pixels, network, BASE).pooled)
    before = np.asarray(network.get_layer("norm").moving_mean)
    training, inference = (np.asarray(model(PHOTOS, training=on)) for on in (True, False))
    assert np.abs(training - inference).max() > 0.01
    assert np.abs(np.asarray(network.get_layer("norm").moving_mean) - before).max() > 0.01


def test_flatten_keeps_the_feature_map_and_the_normalization_after_pooling() -> None:
    import keras

    network = toy_network()
    pixels = pixels_of(SIDE)
    body = build_backbone_body(pixels, network, replace(BASE, pooling=Pooling.flatten))
    vector, pooled = keras.Model(pixels, [body.vector, body.pooled])(PHOTOS)
    ready = np.asarray(BASE.preprocess(keras.ops.convert_to_tensor(PHOTOS)))
    last = np.asarray(keras.Model(network.input, network.get_layer("second").output)(ready))

    def normalized(x: np.ndarray) -> np.ndarray:
        centered = x - x.mean(-1, keepdims=True)
        return centered / np.sqrt(x.var(-1, keepdims=True) + 1e-3)

    np.testing.assert_allclose(vector, normalized(last).reshape(4, -1), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(pooled, normalized(last.mean((1, 2))), rtol=1e-3, atol=1e-4)


def real_backbone(name: str, dim: int, **options: object) -> Backbone:
    return Backbone(name.lower(), SIDE, name, dim, weights="random", **options)  # type: ignore[arg-type]


@pytest.mark.slow
def test_a_frozen_backbone_equals_the_plain_backbone() -> None:
    import keras

    base = real_backbone("MobileNet", 1024, random_seed=3)
    expected = np.asarray(base.build()(PHOTOS, training=False))
    network = base.bare()
    set_trainable(network, HEAD_ONLY, keras_name=base.keras)
    pixels = pixels_of(SIDE)
    body = build_backbone_body(pixels, network, base)
    for output in keras.Model(pixels, [body.vector, body.pooled])(PHOTOS, training=True):
        np.testing.assert_allclose(output, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "dim"),
    [("MobileNet", 1024), ("ResNet50", 2048), ("EfficientNetB0", 1280), ("ConvNeXtTiny", 768)],
)
def test_flatten_equals_the_network_without_its_top(name: str, dim: int) -> None:
    import keras

    side = 64
    base = replace(
        real_backbone(name, dim, pooling=Pooling.flatten, random_seed=3), image_size=side
    )
    network = base.bare()
    pixels = pixels_of(side)
    photos = np.random.default_rng(0).uniform(0, 255, (2, side, side, 3)).astype(np.float32)
    model = keras.Model(pixels, build_backbone_body(pixels, network, base).vector)
    keras.utils.set_random_seed(3)
    bare = getattr(keras.applications, name)(
        include_top=False, weights=None, input_shape=(side, side, 3)
    )
    expected = np.asarray(bare(base.preprocess(keras.ops.convert_to_tensor(photos))))
    assert expected.shape == (2, 2, 2, dim)
    np.testing.assert_allclose(model(photos), expected.reshape(2, -1), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "dim"), [("MobileNet", 1024), ("EfficientNetB0", 1280)])
def test_real_frozen_networks_stay_in_inference_mode(name: str, dim: int) -> None:
    import keras

    base = real_backbone(name, dim)
    network = base.bare()
    # `all` comes first, because freezing disables dropout permanently.
    for trainable in (ALL, LAST_LAYERS, HEAD_ONLY):
        set_trainable(network, trainable, keras_name=name)
        pixels = pixels_of(SIDE)
        model = keras.Model(pixels, build_backbone_body(pixels, network, base).vector)
        inference = np.asarray(model(PHOTOS, training=False))
        training = np.asarray(model(PHOTOS, training=True))
        assert np.array_equal(training, inference) == (trainable is not ALL)


def test_flatten_is_only_for_trained_networks() -> None:
    with pytest.raises(BenchError, match=r"model\.pooling=flatten .* use avg, max or gem"):
        replace(BASE, pooling=Pooling.flatten).check()
