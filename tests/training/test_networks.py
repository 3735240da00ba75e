"""Bodies of the networks that are trained: layers, parameters and trainable layers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from outliers_bench.errors import BenchError
from outliers_bench.models.backbone import Backbone
from outliers_bench.models.pooling import Pooling
from outliers_bench.training.networks import (
    MIN_SIDE,
    Body,
    Trainable,
    build_backbone_body,
    build_cnn_body,
    cnn_vector_length,
    set_trainable,
)
from tests.training.network_toys import PHOTOS, SIDE, pixels_of, toy_network

HEAD_ONLY, LAST_LAYERS, ALL = Trainable.head_only, Trainable.last_layers, Trainable.all


def classifier(pixels: Any, body: Body, classes: int, *, hidden: int | None = None) -> Any:
    import keras

    x = body.vector
    if hidden is not None:
        x = keras.layers.Dense(hidden, activation="relu", name="hidden")(x)
    return keras.Model(pixels, keras.layers.Dense(classes, name="scores")(x))


def parameters(variables: list[Any]) -> int:
    return sum(int(np.prod(variable.shape)) for variable in variables)


def counts(model: Any) -> tuple[int, int]:
    """Return the number of all parameters and of those that are trained."""
    return model.count_params(), parameters(model.trainable_weights)


# The summary of the original, with output shapes of layers without parameters.
SCRATCH = [
    ("rescale", (128, 128, 3), 0),
    ("block1_conv1", (128, 128, 32), 896),
    ("block1_norm", (128, 128, 32), 128),
    ("block1_conv2", (126, 126, 32), 9_248),
    ("block1_pool", (63, 63, 32), 0),
    ("block2_conv1", (63, 63, 64), 18_496),
    ("block2_norm", (63, 63, 64), 256),
    ("block2_conv2", (61, 61, 64), 36_928),
    ("block2_pool", (30, 30, 64), 0),
    ("block3_conv1", (30, 30, 128), 73_856),
    ("block3_norm", (30, 30, 128), 512),
    ("block3_conv2", (28, 28, 128), 147_584),
    ("block3_pool", (14, 14, 128), 0),
    ("flatten", (25_088,), 0),
    ("scores", (98,), 2_458_722),
]


def test_cnn_scratch_is_the_original_network() -> None:
    import keras

    pixels = pixels_of(128)
    body = build_cnn_body(pixels)
    model = classifier(pixels, body, 98)
    _, *layers = model.layers
    rows = [(layer.name, layer.output.shape[1:], layer.count_params()) for layer in layers]
    assert rows == SCRATCH
    assert counts(model) == (2_746_626, 2_746_178)
    assert parameters(model.non_trainable_weights) == 448
    convolutions = [layer for layer in layers if isinstance(layer, keras.layers.Conv2D)]
    assert {layer.activation.__name__ for layer in convolutions} == {"relu"}
    assert body.pooled.shape == (None, 128)


@pytest.mark.parametrize(("side", "features"), [(MIN_SIDE, 128), (23, 128), (32, 512), (61, 3_200)])
def test_cnn_scratch_accepts_other_sides(side: int, features: int) -> None:
    pixels = pixels_of(side)
    assert build_cnn_body(pixels).vector.shape == (None, features)
    assert cnn_vector_length(side) == features


def test_cnn_scratch_needs_the_minimum_side() -> None:
    assert build_cnn_body(pixels_of(MIN_SIDE)).vector.shape[-1] > 0
    try:
        length = build_cnn_body(pixels_of(MIN_SIDE - 1)).vector.shape[-1]
    except ValueError as error:  # Keras 3.15 and later
        length = 0 if "zero or negative" in str(error) else error
    assert length == 0


def test_cnn_scratch_scales_pixels_to_0_to_1() -> None:
    import keras

    pixels = pixels_of(SIDE)
    body = build_cnn_body(pixels)
    model = keras.Model(pixels, [body.vector, body.pooled])
    vector, pooled = (np.asarray(x) for x in model(PHOTOS))
    last = vector.reshape(4, 2, 2, 128)
    np.testing.assert_allclose(pooled, last.mean((1, 2)), rtol=1e-5)
    scaled = np.asarray(model.get_layer("rescale")(PHOTOS))
    np.testing.assert_allclose(scaled, PHOTOS / 255, rtol=1e-6)


@pytest.fixture(scope="module")
def vgg16() -> tuple[Backbone, Any]:
    base = Backbone("vgg16", 224, "VGG16", 512, weights="random", pooling=Pooling.flatten)
    return base, base.bare()


@pytest.fixture(scope="module")
def resnet50() -> tuple[Backbone, Any]:
    base = Backbone("resnet50", 224, "ResNet50", 2048, weights="random", pooling=Pooling.flatten)
    return base, base.bare()


VGG16_CONV = 3 * 3 * 512 * 512 + 512
RESNET50_LAST = 2 * (512 * 2048 + 2048) + (2048 * 512 + 512)
HIDDEN = 25_088 * 1000 + 1000 + 1000 * 101 + 101


@pytest.mark.parametrize(
    ("trainable", "hidden", "total", "trained"),
    [
        (HEAD_ONLY, None, 17_248_677, 2_533_989),
        (LAST_LAYERS, None, 17_248_677, 2_533_989 + 4 * VGG16_CONV),
        (ALL, None, 17_248_677, 17_248_677),
        (HEAD_ONLY, 1000, 14_714_688 + HIDDEN, HIDDEN),
    ],
)
def test_parameters_of_vgg16(
    vgg16: tuple[Backbone, Any], trainable: Trainable, hidden: int | None, total: int, trained: int
) -> None:
    base, network = vgg16
    set_trainable(network, trainable, keras_name="VGG16")
    pixels = pixels_of(224)
    body = build_backbone_body(pixels, network, base)
    assert (body.vector.shape, body.pooled.shape) == ((None, 25_088), (None, 512))
    assert counts(classifier(pixels, body, 101, hidden=hidden)) == (total, trained)


@pytest.mark.parametrize(
    ("trainable", "trained"),
    [(HEAD_ONLY, 10_135_653), (LAST_LAYERS, 10_135_653 + RESNET50_LAST), (ALL, 33_670_245)],
)
@pytest.mark.slow
def test_parameters_of_resnet50(
    resnet50: tuple[Backbone, Any], trainable: Trainable, trained: int
) -> None:
    base, network = resnet50
    set_trainable(network, trainable, keras_name="ResNet50")
    pixels = pixels_of(224)
    body = build_backbone_body(pixels, network, base)
    assert (body.vector.shape, body.pooled.shape) == ((None, 100_352), (None, 2048))
    assert counts(classifier(pixels, body, 101)) == (33_723_365, trained)


def test_named_layers_are_trained(vgg16: tuple[Backbone, Any]) -> None:
    _, network = vgg16
    set_trainable(network, LAST_LAYERS, ["block1_conv1", "block1_conv1"], keras_name="VGG16")
    assert parameters(network.trainable_weights) == 3 * 3 * 3 * 64 + 64
    set_trainable(network, LAST_LAYERS, [], keras_name="VGG16")
    assert network.trainable_weights == []


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("secnd", "model.trainable_layers=secnd: toy has no such layer; did you mean second?"),
        ("zzz", "zzz: toy has no such layer; did you mean after or second or first?"),
        ("norm", r"norm: has nothing to train \(batch normalization"),
        ("drop", r"drop: has nothing to train"),
    ],
)
def test_a_layer_that_cannot_be_trained_is_rejected(name: str, message: str) -> None:
    with pytest.raises(BenchError, match=message):
        set_trainable(toy_network(), LAST_LAYERS, ["first", name], keras_name="Toy")
