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
    MIN_SIDE,
    Body,
    Trainable,
    build_backbone_body,
    build_cnn_body,
    cnn_vector_length,
    set_trainable,
)

HEAD_ONLY, LAST_LAYERS, ALL = Trainable.head_only, Trainable.last_layers, Trainable.all
SIDE = 32
PHOTOS = np.random.default_rng(0).uniform(0, 255, (4, SIDE, SIDE, 3)).astype(np.float32)


def pixels_of(side: int) -> Any:
    import keras

    return keras.Input((side, side, 3), dtype="float32", name="pixels")


def classifier(pixels: Any, body: Body, classes: int, *, hidden: int | None = None) -> Any:
    import keras

    x = body.vector
    if hidden is not None:
        x = keras.layers.Dense(hidden, activation="relu", name="hidden")(x)
    return keras.Model(pixels, keras.layers.Dense(classes, name="scores")(x))


def parameters(variables: list[Any]) -> int:
    return sum(int(np.prod(variable.shape)) for variable in variables)


def counts(model: Any) -> tuple[int, int]:
    """Of all parameters, and of those that are trained."""
    return model.count_params(), parameters(model.trainable_weights)


# As the original printed it, with what its own layers without parameters give.
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


def test_the_network_from_scratch_is_the_original_one() -> None:
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


@pytest.mark.parametrize(
    ("side", "features"), [(MIN_SIDE, 128), (23, 128), (32, 512), (61, 3_200)]
)
def test_the_network_from_scratch_takes_other_sides(side: int, features: int) -> None:
    pixels = pixels_of(side)
    assert build_cnn_body(pixels).vector.shape == (None, features)
    assert cnn_vector_length(side) == features


def test_the_network_from_scratch_needs_the_smallest_side() -> None:
    assert build_cnn_body(pixels_of(MIN_SIDE)).vector.shape[-1] > 0
    try:
        left = build_cnn_body(pixels_of(MIN_SIDE - 1)).vector.shape[-1]
    except ValueError as error:  # Keras 3.15 and later
        left = 0 if "zero or negative" in str(error) else error
    assert left == 0


def test_the_network_from_scratch_sees_0_to_1() -> None:
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


def test_layers_are_trained_by_name(vgg16: tuple[Backbone, Any]) -> None:
    _, network = vgg16
    set_trainable(network, LAST_LAYERS, ["block1_conv1", "block1_conv1"], keras_name="VGG16")
    assert parameters(network.trainable_weights) == 3 * 3 * 3 * 64 + 64
    set_trainable(network, LAST_LAYERS, [], keras_name="VGG16")
    assert network.trainable_weights == []


def toy() -> Any:
    """A network with all that computes otherwise while it is trained, and a norm after pooling."""
    import keras

    keras.utils.set_random_seed(0)
    images = keras.Input((SIDE, SIDE, 3))
    x = keras.layers.Conv2D(4, 3, strides=8, name="first")(images)
    x = keras.layers.BatchNormalization(name="norm")(x)
    x = keras.layers.Dropout(0.5, noise_shape=(None, 1, 1, 1), name="drop")(x)
    x = keras.layers.Conv2D(5, 3, name="second")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(images, keras.layers.LayerNormalization(name="after")(x), name="toy")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("secnd", "model.trainable_layers=secnd: toy has no such layer; did you mean second?"),
        ("zzz", "zzz: toy has no such layer; did you mean after or second or first?"),
        ("norm", r"norm: has nothing to train \(batch normalization"),
        ("drop", r"drop: has nothing to train"),
    ],
)
def test_a_layer_that_cannot_be_trained_is_refused(name: str, message: str) -> None:
    with pytest.raises(BenchError, match=message):
        set_trainable(toy(), LAST_LAYERS, ["first", name], keras_name="Toy")


class Toy(Backbone):
    def network(self, *, pretrained: bool) -> Any:
        return toy()


@pytest.mark.parametrize("pooling", [Pooling.flatten, Pooling.gem])
@pytest.mark.slow
def test_a_backbone_is_built_in_the_precision_that_is_set(pooling: Pooling) -> None:
    import keras

    base = Toy("toy", SIDE, "VGG16", 5, weights="random", pooling=pooling)
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


# VGG16's preprocessing turns the channels round by indexing.
BASE = Backbone("toy", SIDE, "VGG16", 5, weights="random")


@pytest.mark.parametrize(
    ("pooling", "trainable"),
    [(Pooling.avg, HEAD_ONLY), *((pooling, LAST_LAYERS) for pooling in Pooling)],
)
def test_a_frozen_network_computes_in_training_what_it_does_afterwards(
    pooling: Pooling, trainable: Trainable, tmp_path: Path
) -> None:
    import keras

    network = toy()
    set_trainable(network, trainable, ["second"], keras_name="Toy")
    pixels = pixels_of(SIDE)
    body = build_backbone_body(pixels, network, replace(BASE, pooling=pooling), name="backbone")
    model = keras.Model(pixels, [body.vector, body.pooled])
    assert model.get_layer("backbone").output
    expected = model(PHOTOS, training=False)
    before = [np.asarray(weight) for weight in network.get_layer("norm").weights]
    for array, wanted in zip(model(PHOTOS, training=True), expected, strict=True):
        np.testing.assert_array_equal(array, wanted)
    for weight, was in zip(network.get_layer("norm").weights, before, strict=True):
        np.testing.assert_array_equal(weight, was)

    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    for array, wanted in zip(loaded(PHOTOS, training=True), expected, strict=True):
        np.testing.assert_array_equal(array, wanted)
    assert len(loaded.trainable_weights) == (2 if trainable is LAST_LAYERS else 0)


def test_a_network_that_is_trained_whole_computes_otherwise_in_training() -> None:
    import keras

    network = toy()
    set_trainable(network, ALL, keras_name="Toy")
    assert network.get_layer("drop").rate == 0.5
    pixels = pixels_of(SIDE)
    model = keras.Model(pixels, build_backbone_body(pixels, network, BASE).pooled)
    before = np.asarray(network.get_layer("norm").moving_mean)
    apart = np.asarray(model(PHOTOS, training=True)) - np.asarray(model(PHOTOS, training=False))
    assert np.abs(apart).max() > 0.01
    assert np.abs(np.asarray(network.get_layer("norm").moving_mean) - before).max() > 0.01


def test_flatten_keeps_the_map_and_what_comes_after_the_average() -> None:
    import keras

    network = toy()
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


def real(name: str, dim: int, **options: object) -> Backbone:
    return Backbone(name.lower(), SIDE, name, dim, weights="random", **options)  # type: ignore[arg-type]


@pytest.mark.slow
def test_a_backbone_is_the_one_that_is_not_trained() -> None:
    import keras

    base = real("MobileNet", 1024, random_seed=3)
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
def test_flatten_is_the_network_without_its_top(name: str, dim: int) -> None:
    import keras

    side = 64
    base = replace(real(name, dim, pooling=Pooling.flatten, random_seed=3), image_size=side)
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
def test_real_networks_that_are_frozen_stay_in_inference_mode(name: str, dim: int) -> None:
    import keras

    base = real(name, dim)
    network = base.bare()
    # Trained whole comes first: freezing takes the dropout out for good.
    for trainable in (ALL, LAST_LAYERS, HEAD_ONLY):
        set_trainable(network, trainable, keras_name=name)
        pixels = pixels_of(SIDE)
        model = keras.Model(pixels, build_backbone_body(pixels, network, base).vector)
        inference = np.asarray(model(PHOTOS, training=False))
        training = np.asarray(model(PHOTOS, training=True))
        assert np.array_equal(training, inference) == (trainable is not ALL)


def test_flatten_is_for_networks_that_are_trained() -> None:
    with pytest.raises(BenchError, match=r"model\.pooling=flatten .* use avg, max or gem"):
        replace(BASE, pooling=Pooling.flatten).check()
