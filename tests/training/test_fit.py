"""Training of one network: its files, loss, patience and best epoch."""

import math
import os
import shutil
from dataclasses import replace

import numpy as np
import pytest

from outliers_bench.errors import BenchError
from outliers_bench.training import fit
from outliers_bench.training.assemble import build_loss, build_training_network
from outliers_bench.training.callback import TrainingCallback
from outliers_bench.training.fit import binarize_labels, class_weights, load_finished, train
from outliers_bench.training.options import ClassWeights, Loss, Optimizer
from outliers_bench.training.saved_network import read_metadata
from outliers_bench.training.schedules import OriginalSchedule
from tests.toys import image_set
from tests.training_toys import (
    COUNTS,
    WIDTH,
    RecordingObserver,
    deterministic_task,
    head_task,
    read_weights,
    same_weights,
    small_transfer,
)

pytestmark = pytest.mark.usefixtures("op_determinism")


def test_files_and_record_of_a_training(uninterrupted):
    folder = uninterrupted.folder
    files = {path.name for path in folder.iterdir()}
    assert files == {
        *("model.keras", "summary.txt", "example.npy", "training.json", "checksums.json")
    }
    assert uninterrupted == replace(load_finished(folder, "transfer"), fresh=True)
    assert uninterrupted.classes == ("ant", "bee", "cat")
    assert (uninterrupted.name, uninterrupted.image_size) == ("transfer", 22)
    example = np.load(folder / "example.npy", allow_pickle=False)
    assert (example.shape, example.dtype) == ((1, 22, 22, 3), np.float32)
    summary = (folder / "summary.txt").read_text()
    assert "only_conv" in summary, "layers within the backbone are listed"
    assert "Total params" in summary
    metadata = read_metadata(folder / "model.keras")
    assert metadata.dimensions == {"penultimate": 128, "backbone": 128, "logits": 3}
    assert metadata.classes == uninterrupted.classes
    assert metadata.options["model.image_size"] == 22
    for epoch in uninterrupted.epochs:
        assert {"loss", "accuracy", "top_5_accuracy", "val_loss", "learning_rate"} <= set(epoch)
        assert epoch["seconds"] > 0
    losses = [epoch["loss"] for epoch in uninterrupted.epochs]
    assert losses[-1] < 0.8 * losses[0]
    val_losses = [epoch["val_loss"] for epoch in uninterrupted.epochs]
    assert uninterrupted.best_epoch == 1 + int(np.argmin(val_losses))


def test_the_saved_network_maps_pixels_to_probabilities(uninterrupted):
    import keras

    network = keras.models.load_model(uninterrupted.folder / "model.keras")
    assert network.input_shape == (None, 22, 22, 3)
    assert {weight.dtype for weight in network.weights} == {"float32"}
    photos = np.random.default_rng(0).uniform(0, 255, (4, 22, 22, 3)).astype(np.float32)
    probabilities = network.predict(photos, verbose=0)
    assert probabilities.shape == (4, 3)
    assert probabilities.sum(axis=1) == pytest.approx(np.ones(4), abs=1e-6)


def head_of(folder):
    """Return kernel and bias of the classification layer."""
    arrays = read_weights(folder).values()
    (kernel,) = (array for array in arrays if array.ndim == 2)
    (bias,) = (array for array in arrays if array.shape == kernel.shape[1:])
    return kernel, bias


@pytest.mark.slow
def test_training_stops_by_patience_with_the_best_weights(tmp_path, monkeypatch):
    """Random vectors can only be memorized, so the validation loss soon rises."""
    splits = []
    hold_out = fit.hold_out
    monkeypatch.setattr(
        fit, "hold_out", lambda *a, **k: splits.append(hold_out(*a, **k)) or splits[-1]
    )
    option = small_transfer(epochs=30, patience=2, learning_rate=0.05)
    noise = np.random.default_rng(0).normal(0, 1, (24, 128)).astype(np.float32)
    task = replace(head_task(option, COUNTS), fetch=lambda rows: noise[rows])
    network = train(task, tmp_path, RecordingObserver())
    val_losses = [epoch["val_loss"] for epoch in network.epochs]
    assert len(val_losses) == network.best_epoch + 2 < 30
    assert network.best_epoch == 1 + int(np.argmin(val_losses))
    kernel, bias = head_of(tmp_path)
    (_, rows) = splits[0]
    logits = noise[rows] @ kernel + bias
    logits -= logits.max(axis=1, keepdims=True)
    logs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    targets = binarize_labels(task.part)[1][rows]
    loss = -(logs * targets).sum(axis=1).mean()
    assert loss == pytest.approx(min(val_losses), rel=1e-4)
    assert loss < 0.99 * val_losses[-1]


@pytest.mark.slow
def test_patience_also_applies_without_best_weights(tmp_path):
    noise = np.random.default_rng(0).normal(0, 1, (24, 128)).astype(np.float32)
    option = small_transfer(epochs=20, patience=2, learning_rate=0.05, best_weights=False)
    task = replace(head_task(option, COUNTS), fetch=lambda rows: noise[rows])
    network = train(task, tmp_path, RecordingObserver())
    val_losses = [epoch["val_loss"] for epoch in network.epochs]
    assert len(val_losses) == int(np.argmin(val_losses)) + 3 < 20
    assert network.best_epoch == len(val_losses), "the last weights are used"


def test_two_classes_a_single_image_of_one_and_an_oversized_batch(tmp_path):
    schedule = OriginalSchedule(decay=0.5)
    option = small_transfer(batch_size=1000, epochs=3, lr_schedule=schedule)
    option.class_weights = ClassWeights.balanced
    network = train(head_task(option, {"ant": 12, "bee": 1}), tmp_path, RecordingObserver())
    assert network.classes == ("ant", "bee")
    rates = [epoch["learning_rate"] for epoch in network.epochs]
    assert rates == pytest.approx([0.001, 0.0005, 0.000125], rel=1e-6)
    assert all(math.isfinite(epoch["val_loss"]) for epoch in network.epochs)
    assert [epoch["top_5_accuracy"] for epoch in network.epochs] == [1, 1, 1]


@pytest.mark.parametrize(
    ("loss", "smoothing"),
    [(Loss.arcface, 0.1), pytest.param(Loss.cross_entropy, 0.2, marks=pytest.mark.slow)],
)
def test_the_saved_network_has_the_outputs_of_the_trained_one(
    loss, smoothing, tmp_path, monkeypatch
):
    """Without a validation part, the last weights are used."""
    copied = []
    copy_weights = fit.copy_weights

    def spy(target, trained, option):
        copy_weights(target, trained, option)
        copied.append((target, trained))

    monkeypatch.setattr(fit, "copy_weights", spy)
    option = small_transfer(
        loss=loss, label_smoothing=smoothing, validation=0.0, scale=12.0, epochs=2
    )
    task = head_task(option, COUNTS)
    network = train(task, tmp_path, RecordingObserver())
    assert network.best_epoch == 2
    assert not any(name.startswith("val_") for epoch in network.epochs for name in epoch)
    ((inference, trained),) = copied
    vectors = task.fetch(np.arange(24))
    outputs = np.asarray(trained(vectors))
    scale = 12.0 if loss is Loss.arcface else 1.0
    assert loss is not Loss.arcface or np.abs(outputs).max() <= 1 + 1e-6
    penultimate, logits = (np.asarray(output) for output in inference.head(vectors))
    assert np.array_equal(penultimate, vectors)
    assert np.allclose(logits, scale * outputs, atol=1e-4)
    targets = binarize_labels(task.part)[1]
    assert math.isfinite(float(build_loss(option)(targets, outputs)))


@pytest.mark.parametrize("value", [np.inf, pytest.param(np.nan, marks=pytest.mark.slow)])
def test_a_non_finite_loss_ends_the_training(value, tmp_path):
    task = head_task(small_transfer(learning_rate=0.5, optimizer=Optimizer.sgd), COUNTS)
    observer = RecordingObserver()

    def fetch(rows):
        return task.fetch(rows) * (value if len(observer.epochs) == 1 else 1)

    with pytest.raises(BenchError) as caught:
        train(replace(task, fetch=fetch), tmp_path, observer)
    assert "\n" not in str(caught.value)
    assert "model=transfer: the loss became" in str(caught.value)
    assert "smaller model.learning_rate than 0.5" in str(caught.value)
    assert observer.epochs == [1]
    assert load_finished(tmp_path, "transfer") is None
    assert (tmp_path / "checkpoint-1.weights.h5").exists(), "the finite epoch is not lost"


def test_a_non_finite_validation_loss_ends_the_training(tmp_path):
    """If the only step of an epoch diverges, only the validation loss shows it."""
    option = small_transfer(learning_rate=100.0, optimizer=Optimizer.sgd, batch_size=1000, epochs=1)
    task = head_task(option, COUNTS)
    with pytest.raises(BenchError, match=r"validation part, epoch 1.*model\.learning_rate"):
        train(
            replace(task, fetch=lambda rows: task.fetch(rows) * 1e19), tmp_path, RecordingObserver()
        )
    assert load_finished(tmp_path, "transfer") is None


def test_classes_are_sorted_by_name_not_by_label():
    part = image_set("abcde", [2, 0, 0, 2, 3], ["zebra", "unused", "ant", "mole"])
    classes, targets = binarize_labels(part)
    assert classes == ("ant", "mole", "zebra")
    expected = [[1, 0, 0], [0, 0, 1], [0, 0, 1], [1, 0, 0], [0, 1, 0]]
    assert targets.tolist() == expected
    assert targets.dtype == np.float32
    classes, targets = binarize_labels(image_set("abc", [1, 0, 1], ["zebra", "ant"]))
    assert classes == ("ant", "zebra")
    assert targets.tolist() == [[1, 0], [0, 1], [1, 0]]


def test_balanced_weights_equal_those_of_scikit_learn():
    from sklearn.utils.class_weight import compute_class_weight

    labels = np.repeat([0, 1, 2], [18, 2, 1])
    targets = np.eye(4, dtype=np.float32)[labels]
    weights = class_weights(targets[:, :3], ClassWeights.balanced)
    expected = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    assert weights == pytest.approx(dict(enumerate(expected)), rel=1e-6)
    assert len(class_weights(targets, ClassWeights.balanced)) == 4, "one class has no images"
    assert class_weights(targets, ClassWeights.none) is None


def test_a_folder_without_a_finished_training(tmp_path):
    for text in ("", "[]", "{}", '{"epochs": 3}', "\x00\xff"):
        (tmp_path / "training.json").write_text(text)
        assert load_finished(tmp_path, "transfer") is None
    assert load_finished(tmp_path / "nowhere", "transfer") is None


def test_without_its_network_a_training_is_not_finished(uninterrupted, tmp_path):
    folder = shutil.copytree(uninterrupted.folder, tmp_path / "training")
    os.truncate(folder / "model.keras", 500)
    assert load_finished(folder, "transfer") is None
    (folder / "model.keras").unlink()
    assert load_finished(folder, "transfer") is None
    train(deterministic_task(), folder, RecordingObserver())
    assert same_weights(folder, uninterrupted.folder)


@pytest.mark.parametrize("optimizer", Optimizer)
def test_every_optimizer_takes_a_step(optimizer):
    option = small_transfer(optimizer=optimizer)
    network = build_training_network(option, 3, width=WIDTH)
    before = [np.array(weight) for weight in network.trainable_weights]
    vectors = np.random.default_rng(0).normal(0, 1, (8, WIDTH)).astype(np.float32)
    targets = np.eye(3, dtype=np.float32)[np.arange(8) % 3]
    assert np.isfinite(network.train_on_batch(vectors, targets)).all()
    for weight, was in zip(network.trainable_weights, before, strict=True):
        assert not np.array_equal(weight, was)


def callback_after(epochs, **options):
    """Return the callback of a training of up to 50 epochs, after these epochs."""
    option = small_transfer(epochs=50, **options)
    return TrainingCallback(None, option, None, None, None, None, epochs=epochs)


def test_patience_applies_only_to_a_validation_loss():
    """Classes of a single image leave no validation images, whatever the fraction."""
    without_val_loss = [{"loss": 1.0} for _ in range(10)]
    assert not callback_after(without_val_loss, patience=2).is_finished
    assert callback_after(without_val_loss * 5, patience=2).is_finished, "all epochs are done"
    worse = [{"val_loss": value} for value in (3.0, 1.0, 2.0, 1.0)]
    assert callback_after(worse, patience=2).is_finished
    assert not callback_after(worse, patience=3).is_finished
    assert not callback_after(worse).is_finished


@pytest.mark.slow
def test_patience_without_validation_images(tmp_path):
    option = small_transfer(patience=1, epochs=4)
    network = train(
        head_task(option, {"ant": 1, "bee": 1, "cat": 1}), tmp_path, RecordingObserver()
    )
    assert (len(network.epochs), network.best_epoch) == (4, 4)


@pytest.mark.slow
def test_determinism_ends_with_the_training_that_requested_it(tmp_path):
    from tensorflow.python.framework import config

    train(
        head_task(small_transfer(deterministic=True, epochs=1), COUNTS),
        tmp_path / "one",
        RecordingObserver(),
    )
    assert config.is_op_determinism_enabled()
    train(head_task(small_transfer(epochs=1), COUNTS), tmp_path / "other", RecordingObserver())
    assert not config.is_op_determinism_enabled()
