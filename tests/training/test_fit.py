"""One training: what it leaves behind, and that an interruption changes nothing in that."""

import json
import logging
import math
import shutil
from dataclasses import replace

import numpy as np
import pytest

from outliers_bench.errors import BenchError
from outliers_bench.training import fit
from outliers_bench.training.augment import OriginalAugment
from outliers_bench.training.callback import TrainingCallback
from outliers_bench.training.compile import build_compiled_network
from outliers_bench.training.fit import binarize_labels, load_finished, train
from outliers_bench.training.losses import build_loss
from outliers_bench.training.options import ClassWeights, Loss, Optimizer
from outliers_bench.training.saved_network import read_metadata
from outliers_bench.training.schedules import OriginalSchedule
from tests.toys import image_set
from tests.training_toys import (
    WIDTH,
    RecordingObserver,
    cnn,
    colored_images,
    head_task,
    same_weights,
    small_transfer,
    pixel_task,
    read_weights,
)

COUNTS = {"ant": 9, "bee": 8, "cat": 7}


@pytest.fixture(scope="module", autouse=True)
def _determinism_ends_here():
    """TensorFlow keeps to it for as long as the process lives, which other tests need not pay."""
    yield
    from tensorflow.python.framework import config

    config.disable_op_determinism()


def steady(**options):
    """A training that gives the same bits whenever it is done."""
    return head_task(small_transfer(deterministic=True, **options), COUNTS)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    return train(steady(), folder, RecordingObserver())


@pytest.fixture(scope="module")
def broken_off(tmp_path_factory):
    """The folder of a training that ended after the second of five epochs."""
    folder = tmp_path_factory.mktemp("broken_off")
    with pytest.raises(InterruptedError):
        train(steady(), folder, RecordingObserver(stop_after=2))
    return folder


def test_what_a_training_leaves_behind(undisturbed):
    folder = undisturbed.folder
    files = {path.name for path in folder.iterdir()}
    assert files == {"model.keras", "summary.txt", "example.npy", "training.json"}
    assert undisturbed == load_finished(folder, small_transfer(), fresh=True)
    assert undisturbed.classes == ("ant", "bee", "cat")
    assert (undisturbed.name, undisturbed.image_size) == ("transfer", 22)
    example = np.load(folder / "example.npy", allow_pickle=False)
    assert (example.shape, example.dtype) == ((1, 22, 22, 3), np.float32)
    summary = (folder / "summary.txt").read_text()
    assert "only_conv" in summary, "what is within the backbone too"
    assert "Total params" in summary
    saved = read_metadata(folder / "model.keras")
    assert saved.dimensions == {"penultimate": 128, "backbone": 128, "logits": 3}
    assert saved.classes == undisturbed.classes
    assert saved.options["model.image_size"] == 22
    for epoch in undisturbed.epochs:
        assert {"loss", "accuracy", "top_5_accuracy", "val_loss", "learning_rate"} <= set(epoch)
        assert epoch["seconds"] > 0
    losses = [epoch["loss"] for epoch in undisturbed.epochs]
    assert losses[-1] < 0.8 * losses[0]
    watched = [epoch["val_loss"] for epoch in undisturbed.epochs]
    assert undisturbed.best_epoch == 1 + int(np.argmin(watched))


def test_what_is_kept_takes_pixels_and_gives_probabilities(undisturbed):
    import keras

    network = keras.models.load_model(undisturbed.folder / "model.keras")
    assert network.input_shape == (None, 22, 22, 3)
    assert {weight.dtype for weight in network.weights} == {"float32"}
    photos = np.random.default_rng(0).uniform(0, 255, (4, 22, 22, 3)).astype(np.float32)
    probabilities = network.predict(photos, verbose=0)
    assert probabilities.shape == (4, 3)
    assert probabilities.sum(axis=1) == pytest.approx(np.ones(4), abs=1e-6)


def test_broken_off_and_broken_again_it_ends_as_if_undisturbed(undisturbed, broken_off, tmp_path):
    """Once between two epochs and once within the third."""
    folder = shutil.copytree(broken_off, tmp_path / "training")
    assert load_finished(folder, small_transfer()) is None
    assert (folder / "checkpoint-2.weights.h5").exists()
    task = steady()
    reads: list = []

    def failing(rows):
        reads.append(rows)
        if len(reads) == 4:  # the first batch is looked at beforehand
            raise BenchError("the photo is gone")
        return task.fetch(rows)

    watch = RecordingObserver()
    with pytest.raises(BenchError, match=r"^the photo is gone$"):
        train(replace(task, fetch=failing), folder, watch)
    assert watch.epochs == [1, 2]
    watch = RecordingObserver()
    network = train(steady(), folder, watch)
    assert watch.epochs == [1, 2, 3, 4, 5], "each is told once, those before the interruption too"
    assert same_weights(folder, undisturbed.folder)
    assert network.best_epoch == undisturbed.best_epoch
    for mine, theirs in zip(network.epochs, undisturbed.epochs, strict=True):
        assert {**mine, "seconds": 0} == {**theirs, "seconds": 0}
    assert not list(folder.glob("*.weights.h5"))


def first_epoch_again(folder, undisturbed, **options):
    """What a training tells of its first epoch, which must be that of any that begins anew."""
    watch = RecordingObserver(stop_after=1)
    with pytest.raises(InterruptedError):
        train(steady(**options), folder, watch)
    (state,) = (json.loads(path.read_text()) for path in folder.glob("state.json"))
    (epoch,) = state["epochs"]
    return {**epoch, "seconds": 0} == {**undisturbed.epochs[0], "seconds": 0}


def test_a_training_may_be_told_to_begin_anew(undisturbed, broken_off, tmp_path):
    folder = shutil.copytree(broken_off, tmp_path / "training")
    assert first_epoch_again(folder, undisturbed, resume=False)


def spoil_state(folder):
    (folder / "state.json").write_text('{"checkpoint": "checkpoint-2.weights.h5", "epochs": []}')


def spoil_bytes(folder):
    path = folder / "checkpoint-2.weights.h5"
    path.write_bytes(path.read_bytes()[:-500])


@pytest.mark.parametrize("spoil", [spoil_state, spoil_bytes])
def test_a_damaged_checkpoint_is_told_and_left(spoil, undisturbed, broken_off, tmp_path, caplog):
    folder = shutil.copytree(broken_off, tmp_path / "training")
    spoil(folder)
    with caplog.at_level(logging.WARNING):
        assert first_epoch_again(folder, undisturbed), "nothing of the old weights is in the new"
    assert "the training begins anew" in caplog.text


@pytest.mark.slow
def test_a_network_of_pixels_with_augmentation_goes_on_to_the_same_bits(tmp_path):
    option = cnn(deterministic=True, augment=OriginalAugment())
    task = pixel_task(option, colored_images(COUNTS))
    whole = train(task, tmp_path / "whole", RecordingObserver())
    with pytest.raises(InterruptedError):
        train(task, tmp_path / "broken", RecordingObserver(stop_after=3))
    train(task, tmp_path / "broken", RecordingObserver())
    assert same_weights(tmp_path / "broken", whole.folder)
    assert whole.epochs[-1]["loss"] < whole.epochs[0]["loss"]


def head_of(folder):
    """Kernel and bias of the classifying layer of `cnn_scratch`."""
    arrays = read_weights(folder).values()
    (kernel,) = (array for array in arrays if array.ndim == 2)
    (bias,) = (array for array in arrays if array.shape == kernel.shape[1:])
    return kernel, bias


@pytest.mark.slow
def test_it_ends_when_nothing_gets_better_and_keeps_the_best(tmp_path, monkeypatch):
    """Vectors that say nothing of their class can be learned by heart only."""
    held = []
    dealt = fit.hold_out
    monkeypatch.setattr(fit, "hold_out", lambda *a, **k: held.append(dealt(*a, **k)) or held[-1])
    option = small_transfer(epochs=30, patience=2, learning_rate=0.05)
    noise = np.random.default_rng(0).normal(0, 1, (24, 128)).astype(np.float32)
    task = replace(head_task(option, COUNTS), fetch=lambda rows: noise[rows])
    network = train(task, tmp_path, RecordingObserver())
    watched = [epoch["val_loss"] for epoch in network.epochs]
    assert len(watched) == network.best_epoch + 2 < 30
    assert network.best_epoch == 1 + int(np.argmin(watched))
    kernel, bias = head_of(tmp_path)
    (_, rows) = held[0]
    logits = noise[rows] @ kernel + bias
    logits -= logits.max(axis=1, keepdims=True)
    logs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    targets = binarize_labels(task.part)[1][rows]
    loss = -(logs * targets).sum(axis=1).mean()
    assert loss == pytest.approx(min(watched), rel=1e-4)
    assert loss < 0.99 * watched[-1]


@pytest.mark.slow
def test_patience_also_ends_a_training_that_keeps_its_last_weights(tmp_path):
    noise = np.random.default_rng(0).normal(0, 1, (24, 128)).astype(np.float32)
    option = small_transfer(epochs=20, patience=2, learning_rate=0.05, best_weights=False)
    task = replace(head_task(option, COUNTS), fetch=lambda rows: noise[rows])
    network = train(task, tmp_path, RecordingObserver())
    watched = [epoch["val_loss"] for epoch in network.epochs]
    assert len(watched) == int(np.argmin(watched)) + 3 < 20
    assert network.best_epoch == len(watched), "the last weights are kept"


def test_two_classes_one_image_of_one_and_batches_larger_than_all(tmp_path):
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
def test_what_is_kept_says_what_was_trained(loss, smoothing, tmp_path, monkeypatch):
    """And without a part to validate on, the last weights are kept."""
    filled = []
    fill = fit.fill

    def spied(kept, trainer, option, frozen=None):
        fill(kept, trainer, option, frozen)
        filled.append((kept, trainer))

    monkeypatch.setattr(fit, "fill", spied)
    option = small_transfer(loss=loss, label_smoothing=smoothing, validation=0.0, scale=12.0, epochs=2)
    task = head_task(option, COUNTS)
    network = train(task, tmp_path, RecordingObserver())
    assert network.best_epoch == 2
    assert not any(name.startswith("val_") for epoch in network.epochs for name in epoch)
    ((kept, trainer),) = filled
    vectors = task.fetch(np.arange(24))
    trained = np.asarray(trainer(vectors))
    scale = 12.0 if loss is Loss.arcface else 1.0
    assert loss is not Loss.arcface or np.abs(trained).max() <= 1 + 1e-6
    penultimate, logits = (np.asarray(output) for output in kept.head(vectors))
    assert np.array_equal(penultimate, vectors)
    assert np.allclose(logits, scale * trained, atol=1e-4)
    targets = binarize_labels(task.part)[1]
    again = float(build_loss(option)(targets, trained))
    assert math.isfinite(again)


@pytest.mark.parametrize("value", [np.inf, pytest.param(np.nan, marks=pytest.mark.slow)])
def test_a_loss_that_is_no_number_ends_the_training(value, tmp_path):
    task = head_task(small_transfer(learning_rate=0.5, optimizer=Optimizer.sgd), COUNTS)
    watch = RecordingObserver()

    def fetch(rows):
        return task.fetch(rows) * (value if len(watch.epochs) == 1 else 1)

    with pytest.raises(BenchError) as caught:
        train(replace(task, fetch=fetch), tmp_path, watch)
    assert "\n" not in str(caught.value)
    assert "model=transfer: the loss became" in str(caught.value)
    assert "smaller model.learning_rate than 0.5" in str(caught.value)
    assert watch.epochs == [1]
    assert load_finished(tmp_path, small_transfer()) is None
    assert (tmp_path / "checkpoint-1.weights.h5").exists(), "the good epoch is not lost"


def test_a_validation_loss_that_is_no_number_is_none_either(tmp_path):
    """The only step of an epoch may leap too far, which only the validation sees."""
    option = small_transfer(learning_rate=100.0, optimizer=Optimizer.sgd, batch_size=1000, epochs=1)
    task = head_task(option, COUNTS)
    with pytest.raises(BenchError, match=r"validation part, epoch 1.*model\.learning_rate"):
        train(replace(task, fetch=lambda rows: task.fetch(rows) * 1e19), tmp_path, RecordingObserver())
    assert load_finished(tmp_path, small_transfer()) is None


def test_classes_are_sorted_by_name_whatever_their_numbers():
    part = image_set("abcde", [2, 0, 0, 2, 3], ["zebra", "unused", "ant", "mole"])
    classes, targets = binarize_labels(part)
    assert classes == ("ant", "mole", "zebra")
    expected = [[1, 0, 0], [0, 0, 1], [0, 0, 1], [1, 0, 0], [0, 1, 0]]
    assert targets.tolist() == expected
    assert targets.dtype == np.float32
    classes, targets = binarize_labels(image_set("abc", [1, 0, 1], ["zebra", "ant"]))
    assert classes == ("ant", "zebra")
    assert targets.tolist() == [[1, 0], [0, 1], [1, 0]]


def test_balanced_weights_are_those_of_scikit_learn():
    from sklearn.utils.class_weight import compute_class_weight

    labels = np.repeat([0, 1, 2], [20, 3, 1])
    targets = np.eye(3, dtype=np.float32)[labels]
    seen = np.array([row for row in range(24) if row not in (0, 4, 21)])
    weights = fit._sample_weights(targets, seen, ClassWeights.balanced)
    of_class = compute_class_weight("balanced", classes=np.arange(3), y=labels[seen])
    assert weights == pytest.approx(of_class[labels], rel=1e-6)
    assert weights[seen].sum() == pytest.approx(len(seen), rel=1e-6)
    assert fit._sample_weights(targets, seen, ClassWeights.none) is None


def test_a_folder_that_holds_no_whole_training(tmp_path):
    for text in ("", "[]", "{}", '{"epochs": 3}', "\x00\xff"):
        (tmp_path / "training.json").write_text(text)
        assert load_finished(tmp_path, small_transfer()) is None
    assert load_finished(tmp_path / "nowhere", small_transfer()) is None


@pytest.mark.parametrize("optimizer", Optimizer)
def test_every_optimizer_takes_a_step(optimizer):
    option = small_transfer(optimizer=optimizer)
    network = build_compiled_network(option, 3, width=WIDTH)
    before = [np.array(weight) for weight in network.trainable_weights]
    vectors = np.random.default_rng(0).normal(0, 1, (8, WIDTH)).astype(np.float32)
    targets = np.eye(3, dtype=np.float32)[np.arange(8) % 3]
    assert np.isfinite(network.train_on_batch(vectors, targets)).all()
    for weight, was in zip(network.trainable_weights, before, strict=True):
        assert not np.array_equal(weight, was)


def course_of(epochs, **options):
    """A course that has seen these epochs, of a training that may take 50."""
    course = TrainingCallback(
        None, small_transfer(epochs=50, **options), None, None, None, show=lambda *_: None, name="toy"
    )
    course.epochs = epochs
    return course


def test_patience_waits_for_a_validation_loss_and_ends_only_by_it():
    """A class of one image each leaves nothing to validate on, whatever the share."""
    blind = [{"loss": 1.0} for _ in range(10)]
    assert not course_of(blind, patience=2).is_finished
    assert course_of(blind * 5, patience=2).is_finished, "by number"
    worse = [{"val_loss": value} for value in (3.0, 1.0, 2.0, 1.0)]
    assert course_of(worse, patience=2).is_finished
    assert not course_of(worse, patience=3).is_finished
    assert not course_of(worse).is_finished


@pytest.mark.slow
def test_patience_without_an_image_to_validate_on(tmp_path):
    option = small_transfer(patience=1, epochs=4)
    network = train(head_task(option, {"ant": 1, "bee": 1, "cat": 1}), tmp_path, RecordingObserver())
    assert (len(network.epochs), network.best_epoch) == (4, 4)


@pytest.mark.slow
def test_determinism_ends_with_the_training_that_asked_for_it(tmp_path):
    from tensorflow.python.framework import config

    train(head_task(small_transfer(deterministic=True, epochs=1), COUNTS), tmp_path / "one", RecordingObserver())
    assert config.is_op_determinism_enabled()
    train(head_task(small_transfer(epochs=1), COUNTS), tmp_path / "other", RecordingObserver())
    assert not config.is_op_determinism_enabled()
