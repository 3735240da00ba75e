"""Losses and metrics, compared with NumPy, at the limits and in half precision."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outliers_bench.engines.tensorflow import import_tensorflow
from outliers_bench.training.assemble import build_loss
from outliers_bench.training.options import Loss, TrainingOptions


@pytest.fixture(scope="module", autouse=True)
def tf():
    return import_tensorflow()


@pytest.fixture
def mixed_float16(tf):
    import keras

    keras.mixed_precision.set_global_policy("mixed_float16")
    yield
    keras.mixed_precision.set_global_policy("float32")


def losses():
    """Import the module, which imports Keras."""
    from outliers_bench.training import losses

    return losses


def arcface(margin=0.3, scale=30.0, smoothing=0.0):
    return build_loss(
        TrainingOptions(loss=Loss.arcface, margin=margin, scale=scale, label_smoothing=smoothing)
    )


def brute_force(labels, outputs, smoothing):
    """Compute the cross-entropy of logits, image by image."""
    losses = []
    for label, row in zip(labels, outputs, strict=True):
        log_sum = math.log(sum(math.exp(value - max(row)) for value in row)) + max(row)
        loss = 0.0
        for column, value in enumerate(row):
            target = smoothing / len(row) + (1 - smoothing if column == label else 0)
            loss += target * (log_sum - value)
        losses.append(loss)
    return sum(losses) / len(losses)


def brute_force_margin(labels, cosines, margin):
    result = cosines.astype(np.float64)
    for row, label in enumerate(labels):
        angle = math.acos(result[row, label])
        if angle + margin < math.pi:
            result[row, label] = math.cos(angle + margin)
        else:
            result[row, label] -= margin * math.sin(margin)
    return result


def example(n=50, classes=7, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(classes, size=n)
    cosines = rng.uniform(-1, 1, (n, classes))
    cosines[np.arange(4), labels[:4]] = [-0.999, 0.999, -0.96, -0.95]  # on both sides of -cos(0.3)
    return labels, np.eye(classes, dtype="float32")[labels], cosines.astype("float32")


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.9])
def test_cross_entropy_of_logits(smoothing):
    labels, targets, cosines = example()
    loss = build_loss(TrainingOptions(label_smoothing=smoothing))
    logits = cosines * 5
    assert float(loss(targets, logits)) == pytest.approx(
        brute_force(labels, logits.astype(float), smoothing), rel=1e-5
    )


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("margin", [0.0, 0.3, 0.5, math.pi / 2])
def test_arcface_equals_its_numpy_version(margin, smoothing):
    labels, targets, cosines = example()
    expected = brute_force(labels, 30 * brute_force_margin(labels, cosines, margin), smoothing)
    assert float(arcface(margin, 30.0, smoothing)(targets, cosines)) == pytest.approx(
        expected, rel=1e-5
    )


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_without_a_margin_arcface_is_cross_entropy_of_scaled_cosines(smoothing):
    _, targets, cosines = example()
    plain = build_loss(TrainingOptions(label_smoothing=smoothing))
    assert float(arcface(0.0, 20.0, smoothing)(targets, cosines)) == pytest.approx(
        float(plain(targets, 20 * cosines)), rel=1e-6
    )


def test_a_margin_computed_by_hand():
    # cos(60 degrees) becomes cos(60 + 30 degrees); the other class is unchanged.
    got = np.asarray(
        losses().add_angular_margin(np.float32([[1, 0]]), np.float32([[0.5, 0.5]]), math.pi / 6)
    )
    assert got == pytest.approx(np.array([[0.0, 0.5]]), abs=1e-6)


@settings(deadline=None)
@given(
    angles=st.lists(st.floats(0, math.pi), min_size=2, max_size=20),
    margin=st.floats(0.01, math.pi / 2),
)
def test_a_margin_reduces_cosines_and_preserves_their_order(angles, margin):
    cosines = np.sort(np.cos(angles)).astype("float32")[:, None]
    got = np.asarray(losses().add_angular_margin(np.ones_like(cosines), cosines, margin))
    assert (got <= cosines + 1e-6).all()
    assert (np.diff(got[:, 0]) >= -1e-6).all()


@pytest.mark.parametrize("edge", [1.0, -1.0, 1 + 1e-6, -1 - 1e-6])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_gradients_are_finite_at_the_limits_of_the_cosine(tf, edge, smoothing):
    cosines = tf.constant([[edge, 0.2, -edge], [0.1, edge, edge]], tf.float32)
    targets = tf.constant([[1.0, 0, 0], [0, 0, 1]])
    with tf.GradientTape() as tape:
        tape.watch(cosines)
        loss = arcface(0.3, 30.0, smoothing)(targets, cosines)
    slopes = tape.gradient(loss, cosines).numpy()
    assert np.isfinite(float(loss))
    assert np.isfinite(slopes).all()
    assert slopes.any()


def test_gradients_equal_finite_differences(tf):
    labels, targets, cosines = example()
    with tf.GradientTape() as tape:
        given_cosines = tf.constant(cosines)
        tape.watch(given_cosines)
        loss = arcface(0.3, 5.0)(targets, given_cosines)
    slopes = tape.gradient(loss, given_cosines).numpy()
    step = 1e-6
    for row, column in [(row, column) for row in range(4, 9) for column in range(7)]:
        around = []
        for side in (step, -step):
            moved = cosines.astype(np.float64)
            moved[row, column] += side
            around.append(brute_force(labels, 5 * brute_force_margin(labels, moved, 0.3), 0.0))
        expected = (around[0] - around[1]) / (2 * step)
        assert slopes[row, column] == pytest.approx(expected, abs=1e-5)


def cosines_of(vectors, classes=4, **options):
    layer = losses().Cosines(classes, **options)
    return layer, np.asarray(layer(vectors))


def test_the_cosines_layer_computes_cosine_similarities():
    vectors = np.random.default_rng(0).normal(size=(5, 6)).astype("float32") * 100
    layer, got = cosines_of(vectors, initializer="random_normal")
    kernel = np.asarray(layer.kernel, dtype=float)
    for row in range(5):
        for column in range(4):
            a, b = vectors[row].astype(float), kernel[:, column]
            expected = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
            assert got[row, column] == pytest.approx(expected, abs=1e-6)


def test_an_all_zero_vector_has_cosine_zero_and_finite_gradients(tf):
    layer = losses().Cosines(3)
    vectors = tf.Variable([[0.0, 0.0], [3.0, 4.0]])
    with tf.GradientTape() as tape:
        cosines = layer(vectors)
        loss = arcface()(np.eye(3, dtype="float32")[:2], cosines)
    slopes = tape.gradient(loss, [vectors, *layer.trainable_variables])
    assert not cosines.numpy()[0].any()
    assert all(np.isfinite(slope).all() for slope in slopes)


def test_built_in_layers_replace_a_trained_cosines_layer(tmp_path):
    import keras

    vectors = np.random.default_rng(1).normal(size=(9, 6)).astype("float32")
    layer, got = cosines_of(vectors)
    layer.kernel.assign(np.asarray(layer.kernel) * [3.0, 0.1, 50.0, 1.0])
    plain = keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.UnitNormalization(),
            keras.layers.Dense(4, use_bias=False),
            keras.layers.Softmax(),
        ]
    )
    kernel = losses().to_dense_kernel(layer, 30.0)
    assert kernel.dtype == np.float32
    plain.set_weights([kernel])
    plain.save(tmp_path / "plain.keras")
    loaded = keras.models.load_model(tmp_path / "plain.keras")
    expected = np.exp(30 * got.astype(float))
    expected /= expected.sum(axis=1, keepdims=True)
    assert loaded.predict(vectors, verbose=0) == pytest.approx(expected, rel=1e-4, abs=1e-6)


@pytest.mark.slow
def test_cosines_losses_and_metrics_are_float32_with_mixed_precision(mixed_float16):
    import keras

    inputs = keras.Input((6,))
    hidden = keras.layers.Dense(8)(inputs)
    layer = losses().Cosines(4)
    model = keras.Model(inputs, layer(hidden))
    vectors = np.random.default_rng(0).normal(size=(16, 6)).astype("float32")
    cosines = model(vectors)
    assert (hidden.dtype, cosines.dtype, layer.kernel.dtype) == ("float16", "float32", "float32")
    targets = np.eye(4, dtype="float32")[np.arange(16) % 4]
    for loss in (arcface(), build_loss(TrainingOptions())):
        assert loss(targets, cosines).dtype == "float32"
    model.compile("adam", arcface(), metrics=["accuracy"])
    history = model.fit(vectors, targets, batch_size=8, epochs=1, verbose=0).history
    assert set(history) == {"loss", "accuracy"}
    assert np.isfinite(history["loss"]).all()


@pytest.mark.slow
def test_arcface_learns_and_sample_weights_apply():
    import keras

    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 3
    vectors = (np.eye(3)[labels] * 2 + rng.normal(size=(60, 3)) * 0.3).astype("float32")
    targets = np.eye(3, dtype="float32")[labels]
    model = keras.Sequential([keras.Input((3,)), losses().Cosines(3)])
    model.compile(keras.optimizers.Adam(0.1), arcface(scale=10.0), metrics=["accuracy"])
    history = model.fit(vectors, targets, epochs=10, batch_size=20, verbose=0).history
    assert history["loss"][-1] < history["loss"][0] / 2
    assert history["accuracy"][-1] == 1
    loss, weight = arcface(), np.where(labels == 0, 2.0, 0.0)
    each = [float(loss(targets[i : i + 1], model(vectors[i : i + 1]))) for i in range(60)]
    weighted = float(loss(targets, model(vectors), sample_weight=weight))
    assert weighted == pytest.approx((np.array(each) * weight).sum() / 60, rel=1e-4)
