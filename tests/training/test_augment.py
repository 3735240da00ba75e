"""Augmentation: its transformations, their ranges, and reproducible random draws."""

import subprocess
import sys

import numpy as np
import pytest
from omegaconf import OmegaConf

from outliers_bench.config.paths import resource_dir
from outliers_bench.engines.tensorflow import import_tensorflow
from outliers_bench.errors import BenchError
from outliers_bench.training.augment import Augment, OriginalAugment, reseed_generators

OFF = {"rotation_range": 0.0, "shear_range": 0.0, "zoom_range": 0.0, "horizontal_flip": False}
TRANSFORMATIONS = {
    "rotation": {"rotation_range": 20.0},
    "shear": {"shear_range": 20.0},
    "zoom": {"zoom_range": 0.3},
    "flip": {"horizontal_flip": True},
}
SIDE = 33  # odd, so that there is a central pixel


@pytest.fixture(scope="module")
def tf():
    return import_tensorflow()


@pytest.fixture(scope="module")
def images():
    """Return noise with black and white pixels up to the border."""
    return np.random.default_rng(0).choice([0.0, 255.0, 40.0], (8, SIDE, SIDE, 3)).astype("float32")


def apply_layers(layers, images, training=True):
    for layer in layers:
        images = layer(images, training=training)
    return np.asarray(images)


def only(**options):
    return OriginalAugment(**(OFF | options)).layers(0)


def single_pixels(at, n=64):
    """Return n black images with one white pixel each."""
    images = np.zeros((n, SIDE, SIDE, 3), "float32")
    images[:, at[0], at[1]] = 255.0
    return images


def centroids(images):
    """Return the centroid of brightness of each image, in pixels from the center: down, right."""
    brightness = images.sum(axis=3)
    total = brightness.sum(axis=(1, 2))
    offsets = np.arange(SIDE) - SIDE // 2
    down, right = brightness.sum(axis=2) @ offsets, brightness.sum(axis=1) @ offsets
    return np.stack([down / total, right / total], axis=1)


def test_no_augmentation_by_default():
    assert Augment().layers(0) == []
    assert not Augment().active
    assert Augment().label == ""
    Augment().check()


def test_shape_dtype_and_range_are_preserved_and_each_call_differs(tf, images):
    layers = OriginalAugment().layers(0)
    first, second = apply_layers(layers, images), apply_layers(layers, images)
    assert first.shape == images.shape
    assert first.dtype == np.float32
    assert first.min() >= -1e-3
    assert first.max() <= 255 + 1e-3
    assert first.max() > 200
    assert np.abs(first - images).mean(axis=(1, 2, 3)).min() > 1  # each image
    assert np.abs(first - second).mean(axis=(1, 2, 3)).min() > 1


def test_a_constant_image_stays_constant_up_to_its_border(tf):
    gray = np.full((16, SIDE, SIDE, 3), 77.0, "float32")
    assert apply_layers(OriginalAugment().layers(0), gray) == pytest.approx(gray, abs=1e-3)


def test_images_of_a_batch_are_transformed_independently(tf, images):
    same = np.repeat(images[:1], 6, axis=0)
    result = apply_layers(only(rotation_range=20.0), same)
    assert len({image.tobytes() for image in result}) == 6


def test_images_are_unchanged_outside_training(tf, images):
    layers = OriginalAugment().layers(0)
    assert (apply_layers(layers, images, training=False) == images).all()


@pytest.mark.parametrize("name", TRANSFORMATIONS)
def test_an_option_enables_exactly_one_transformation(name, tf, images):
    layers = only(**TRANSFORMATIONS[name])
    assert [layer.name for layer in layers] == [name]
    assert (apply_layers(layers, images) != images).any()
    without = OriginalAugment(**{option: OFF[option] for option in TRANSFORMATIONS[name]}).layers(0)
    assert [layer.name for layer in without] == [
        other for other in TRANSFORMATIONS if other != name
    ]


def test_all_options_off_is_inactive():
    off = OriginalAugment(**OFF)
    off.check()
    assert not off.active
    assert off.layers(0) == []
    assert OriginalAugment().active
    assert OriginalAugment(**(OFF | {"horizontal_flip": True})).active


def test_flip_mirrors_about_half_of_the_images(tf, images):
    batch = np.repeat(images[:1], 200, axis=0)
    result = apply_layers(only(horizontal_flip=True), batch)
    mirrored = (result == batch[:, :, ::-1]).all(axis=(1, 2, 3))
    assert (mirrored | (result == batch).all(axis=(1, 2, 3))).all()
    assert 60 < mirrored.sum() < 140


def test_rotation_is_about_the_center_and_within_its_range_in_both_directions(tf):
    points = centroids(
        apply_layers(only(rotation_range=30.0), single_pixels((SIDE // 2, SIDE - 5)))
    )
    angles = np.degrees(np.arctan2(points[:, 0], points[:, 1]))
    assert np.hypot(*points.T) == pytest.approx(12, abs=0.5)
    assert -31 < angles.min() < -20
    assert 20 < angles.max() < 31


def test_shear_is_within_its_range_in_both_directions(tf):
    position = (16, SIDE // 2)  # 16 rows below the top row, which is fixed
    points = centroids(apply_layers(only(shear_range=20.0), single_pixels(position)))
    angles = np.degrees(np.arctan2(points[:, 1], 16))
    assert points[:, 0] == pytest.approx(0, abs=1e-3)
    assert -20.5 < angles.min() < -13
    assert 13 < angles.max() < 20.5


def test_zoom_scales_height_and_width_independently(tf):
    position = (SIDE // 2 + 8, SIDE // 2 + 8)
    factors = centroids(apply_layers(only(zoom_range=0.25), single_pixels(position))) / 8
    assert 1 / 1.25 - 0.1 < factors.min() < 0.9
    assert 1.15 < factors.max() < 1 / 0.75 + 0.1
    assert abs(np.corrcoef(factors.T)[0, 1]) < 0.4


def test_transformations_are_drawn_independently_of_each_other(tf):
    states = [layer.generator.state.numpy()[0] for layer in OriginalAugment().layers(0)]
    assert len(set(states)) == 4


def test_the_seed_determines_the_transformations(tf, images):
    first, again, other = (
        apply_layers(OriginalAugment().layers(seed), images) for seed in (2**32 - 1, 2**32 - 1, 1)
    )
    assert (first == again).all()
    assert (first != other).any()


def network(seed):
    import keras

    inputs = keras.Input((SIDE, SIDE, 3), dtype="float32")
    outputs = inputs
    for layer in OriginalAugment().layers(seed):
        outputs = layer(outputs)
    inner = keras.Sequential([keras.Input((SIDE, SIDE, 3)), keras.layers.Dropout(0.5, seed=3)])
    return keras.Model(inputs, inner(outputs))


def test_the_draws_of_an_epoch_do_not_depend_on_earlier_draws(tf, images):
    one, resumed = network(0), network(0)
    epochs = []
    for epoch in range(3):
        reseed_generators(one, 7, epoch)
        epochs.append([np.asarray(one(images, training=True)) for _ in range(2)])
    assert len({batch.tobytes() for epoch in epochs for batch in epoch}) == 6
    reseed_generators(resumed, 7, 2)
    again = [np.asarray(resumed(images, training=True)) for _ in range(2)]
    assert (np.array(again) == np.array(epochs[2])).all()
    reseed_generators(resumed, 8, 2)
    assert (np.asarray(resumed(images, training=True)) != epochs[2][0]).any()


def test_augmentation_runs_in_float32_with_mixed_precision(tf, images):
    import keras

    expected = apply_layers(OriginalAugment().layers(0), images)
    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        result = apply_layers(OriginalAugment().layers(0), images)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    assert result.dtype == np.float32
    assert (result == expected).all()


def test_fit_augments_training_but_not_validation(tf, images):
    import keras

    inputs = keras.Input((SIDE, SIDE, 3))
    outputs = inputs
    for layer in OriginalAugment().layers(0):
        outputs = layer(outputs)
    model = keras.Model(inputs, keras.layers.Flatten()(outputs))
    model.compile("sgd", "mean_absolute_error")
    same = images.reshape(len(images), -1)
    history = model.fit(
        images, same, validation_data=(images, same), batch_size=4, verbose=0
    ).history
    assert history["loss"][0] > 1
    assert history["val_loss"][0] == 0
    assert (model.predict(images, verbose=0) == same).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rotation_range": 181.0}, "augment.rotation_range=181.0"),
        ({"rotation_range": -1.0}, "augment.rotation_range=-1.0"),
        ({"shear_range": 60.0}, "augment.shear_range=60.0"),
        ({"shear_range": float("nan")}, "augment.shear_range=nan"),
        ({"zoom_range": 1.0}, "augment.zoom_range=1.0"),
    ],
)
def test_invalid_options_are_rejected_by_name(options, message):
    with pytest.raises(BenchError, match=message):
        OriginalAugment(**options).check()


def test_the_largest_allowed_options_work(tf, images):
    largest = OriginalAugment(rotation_range=180.0, shear_range=45.0, zoom_range=0.99)
    largest.check()
    assert np.isfinite(apply_layers(largest.layers(0), images)).all()


def test_labels_show_non_default_options():
    assert OriginalAugment().label == "original"
    label = OriginalAugment(zoom_range=0.5, horizontal_flip=False).label
    assert label == "original zoom_range=0.5 horizontal_flip=false"


@pytest.mark.parametrize(("name", "schema"), [("none", Augment), ("original", OriginalAugment)])
def test_the_conf_file_has_the_defaults(name, schema):
    loaded = OmegaConf.load(resource_dir("conf") / "augment" / f"{name}.yaml")
    assert loaded.pop("defaults")[0] == {"/schema/augment@_here_": name}
    assert OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(schema), loaded)) == schema()
    assert set(loaded) == set(vars(schema()))


DETERMINISTIC_TRAINING = """
import hashlib
import numpy as np
from outliers_bench.engines.tensorflow import import_tensorflow
from outliers_bench.training.augment import OriginalAugment
tf = import_tensorflow()
import keras
keras.utils.set_random_seed(5)
tf.config.experimental.enable_op_determinism()
images = np.random.default_rng(0).uniform(0, 255, (16, 24, 24, 3)).astype("float32")
inputs = keras.Input((24, 24, 3))
outputs = inputs
for layer in OriginalAugment().layers(0):
    outputs = layer(outputs)
model = keras.Model(inputs, keras.layers.Dense(3)(keras.layers.Flatten()(outputs)))
model.compile("adam", "mean_squared_error")
model.fit(images, np.ones((16, 3)), epochs=2, batch_size=4, verbose=0)
print(hashlib.sha256(b"".join(w.tobytes() for w in model.get_weights())).hexdigest())
"""


@pytest.mark.slow
def test_deterministic_training_is_bitwise_reproducible():
    command = [sys.executable, "-c", DETERMINISTIC_TRAINING]
    runs = [subprocess.run(command, capture_output=True, text=True, check=True) for _ in range(2)]
    assert len(runs[0].stdout.strip()) == 64
    assert runs[0].stdout == runs[1].stdout
