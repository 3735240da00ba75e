"""Images changed at random: what is changed, when, and that it can be had again."""

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
CHANGES = {
    "rotation": {"rotation_range": 20.0},
    "shear": {"shear_range": 20.0},
    "zoom": {"zoom_range": 0.3},
    "flip": {"horizontal_flip": True},
}
SIDE = 33  # odd, so that there is a pixel in the middle


@pytest.fixture(scope="module")
def tf():
    return import_tensorflow()


@pytest.fixture(scope="module")
def images():
    """Noise, with black and white to the very edge."""
    return np.random.default_rng(0).choice([0.0, 255.0, 40.0], (8, SIDE, SIDE, 3)).astype("float32")


def changed(layers, images, training=True):
    for layer in layers:
        images = layer(images, training=training)
    return np.asarray(images)


def only(**options):
    return OriginalAugment(**(OFF | options)).layers(0)


def grid(at, n=64):
    """One white pixel in each of n black images."""
    images = np.zeros((n, SIDE, SIDE, 3), "float32")
    images[:, at[0], at[1]] = 255.0
    return images


def places(images):
    """Where the light of each image is, in pixels from the middle: down, right."""
    light = images.sum(axis=3)
    total = light.sum(axis=(1, 2))
    steps = np.arange(SIDE) - SIDE // 2
    return np.stack([light.sum(axis=2) @ steps / total, light.sum(axis=1) @ steps / total], axis=1)


def test_nothing_is_changed_by_default():
    assert Augment().layers(0) == []
    assert not Augment().active
    assert Augment().label == ""
    Augment().check()


def test_shape_type_and_range_stay_and_every_call_draws_anew(tf, images):
    layers = OriginalAugment().layers(0)
    first, second = changed(layers, images), changed(layers, images)
    assert first.shape == images.shape
    assert first.dtype == np.float32
    assert first.min() >= -1e-3
    assert first.max() <= 255 + 1e-3
    assert first.max() > 200
    assert np.abs(first - images).mean(axis=(1, 2, 3)).min() > 1  # each image
    assert np.abs(first - second).mean(axis=(1, 2, 3)).min() > 1


def test_a_plain_area_stays_plain_to_its_edge(tf):
    gray = np.full((16, SIDE, SIDE, 3), 77.0, "float32")
    assert changed(OriginalAugment().layers(0), gray) == pytest.approx(gray, abs=1e-3)


def test_images_of_a_batch_are_changed_each_by_itself(tf, images):
    same = np.repeat(images[:1], 6, axis=0)
    got = changed(only(rotation_range=20.0), same)
    assert len({image.tobytes() for image in got}) == 6


def test_outside_training_nothing_is_changed(tf, images):
    layers = OriginalAugment().layers(0)
    assert (changed(layers, images, training=False) == images).all()


@pytest.mark.parametrize("name", CHANGES)
def test_an_option_makes_one_change_and_no_other(name, tf, images):
    layers = only(**CHANGES[name])
    assert [layer.name for layer in layers] == [name]
    assert (changed(layers, images) != images).any()
    without = OriginalAugment(**{option: OFF[option] for option in CHANGES[name]}).layers(0)
    assert [layer.name for layer in without] == [other for other in CHANGES if other != name]


def test_all_off_is_none():
    off = OriginalAugment(**OFF)
    off.check()
    assert not off.active
    assert off.layers(0) == []
    assert OriginalAugment().active
    assert OriginalAugment(**(OFF | {"horizontal_flip": True})).active


def test_a_flip_mirrors_about_half_of_the_images(tf, images):
    batch = np.repeat(images[:1], 200, axis=0)
    got = changed(only(horizontal_flip=True), batch)
    mirrored = (got == batch[:, :, ::-1]).all(axis=(1, 2, 3))
    assert (mirrored | (got == batch).all(axis=(1, 2, 3))).all()
    assert 60 < mirrored.sum() < 140


def test_rotation_turns_about_the_middle_within_its_degrees_both_ways(tf):
    got = places(changed(only(rotation_range=30.0), grid((SIDE // 2, SIDE - 5))))
    turned = np.degrees(np.arctan2(got[:, 0], got[:, 1]))
    assert np.hypot(*got.T) == pytest.approx(12, abs=0.5)
    assert -31 < turned.min() < -20
    assert 20 < turned.max() < 31


def test_shear_leans_vertical_lines_within_its_degrees_both_ways(tf):
    at = (16, SIDE // 2)  # 16 rows below the top, which stays
    got = places(changed(only(shear_range=20.0), grid(at)))
    leaned = np.degrees(np.arctan2(got[:, 1], 16))
    assert got[:, 0] == pytest.approx(0, abs=1e-3)
    assert -20.5 < leaned.min() < -13
    assert 13 < leaned.max() < 20.5


def test_zoom_stretches_height_and_width_each_by_its_own(tf):
    got = places(changed(only(zoom_range=0.25), grid((SIDE // 2 + 8, SIDE // 2 + 8))))
    factors = got / 8
    assert 1 / 1.25 - 0.1 < factors.min() < 0.9
    assert 1.15 < factors.max() < 1 / 0.75 + 0.1
    assert abs(np.corrcoef(factors.T)[0, 1]) < 0.4


def test_changes_are_drawn_independently_of_one_another(tf):
    states = [layer.generator.state.numpy()[0] for layer in OriginalAugment().layers(0)]
    assert len(set(states)) == 4


def test_a_seed_gives_the_same_changes_and_another_seed_others(tf, images):
    first, again, other = (
        changed(OriginalAugment().layers(seed), images) for seed in (2**32 - 1, 2**32 - 1, 1)
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


def test_an_epoch_drawn_again_is_the_same_whatever_was_drawn_before(tf, images):
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


def test_half_precision_is_kept_out(tf, images):
    import keras

    exact = changed(OriginalAugment().layers(0), images)
    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        got = changed(OriginalAugment().layers(0), images)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    assert got.dtype == np.float32
    assert (got == exact).all()


def test_it_works_within_fit_and_not_in_its_validation(tf, images):
    import keras

    inputs = keras.Input((SIDE, SIDE, 3))
    outputs = inputs
    for layer in OriginalAugment().layers(0):
        outputs = layer(outputs)
    model = keras.Model(inputs, keras.layers.Flatten()(outputs))
    model.compile("sgd", "mean_absolute_error")
    same = images.reshape(len(images), -1)
    ran = model.fit(images, same, validation_data=(images, same), batch_size=4, verbose=0)
    assert ran.history["loss"][0] > 1
    assert ran.history["val_loss"][0] == 0
    assert (model.predict(images, verbose=0) == same).all()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"rotation_range": 181.0}, "augment.rotation_range=181.0"),
        ({"rotation_range": -1.0}, "augment.rotation_range=-1.0"),
        ({"shear_range": 60.0}, "augment.shear_range=60.0"),
        ({"shear_range": float("nan")}, "augment.shear_range=nan"),
        ({"zoom_range": 1.0}, "augment.zoom_range=1.0"),
    ],
)
def test_what_cannot_work_is_refused_by_name(options, told):
    with pytest.raises(BenchError, match=told):
        OriginalAugment(**options).check()


def test_what_is_allowed_at_most_works(tf, images):
    most = OriginalAugment(rotation_range=180.0, shear_range=45.0, zoom_range=0.99)
    most.check()
    assert np.isfinite(changed(most.layers(0), images)).all()


def test_labels_tell_what_is_unusual():
    assert OriginalAugment().label == "original"
    told = OriginalAugment(zoom_range=0.5, horizontal_flip=False).label
    assert told == "original zoom_range=0.5 horizontal_flip=false"


@pytest.mark.parametrize(("name", "schema"), [("none", Augment), ("original", OriginalAugment)])
def test_the_file_in_conf_has_the_defaults(name, schema):
    written = OmegaConf.load(resource_dir("conf") / "augment" / f"{name}.yaml")
    assert written.pop("defaults")[0] == {"/schema/augment@_here_": name}
    assert OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(schema), written)) == schema()
    assert set(written) == set(vars(schema()))


TWICE = """
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
def test_a_deterministic_training_gives_the_same_bits_twice():
    runs = [
        subprocess.run([sys.executable, "-c", TWICE], capture_output=True, text=True, check=True)
        for _ in range(2)
    ]
    assert len(runs[0].stdout.strip()) == 64
    assert runs[0].stdout == runs[1].stdout
