"""Interrupted trainings: resumed or started over, with identical results."""

import json
import logging
import shutil
from dataclasses import replace

import pytest

from outliers_bench.errors import BenchError
from outliers_bench.training.augment import OriginalAugment
from outliers_bench.training.fit import load_finished, train
from tests.training_toys import (
    COUNTS,
    RecordingObserver,
    cnn,
    colored_images,
    deterministic_task,
    pixel_task,
    same_weights,
)

pytestmark = pytest.mark.usefixtures("op_determinism")


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory, op_determinism):
    """Return the folder of a training interrupted after the second of five epochs."""
    folder = tmp_path_factory.mktemp("interrupted")
    with pytest.raises(InterruptedError):
        train(deterministic_task(), folder, RecordingObserver(stop_after=2))
    return folder


def test_training_interrupted_twice_ends_with_identical_weights(
    uninterrupted, interrupted, tmp_path
):
    """The first interruption is between two epochs, the second within the third."""
    folder = shutil.copytree(interrupted, tmp_path / "training")
    assert load_finished(folder, "transfer") is None
    assert (folder / "checkpoint-2.weights.h5").exists()
    task = deterministic_task()
    fetched: list = []

    def failing(rows):
        fetched.append(rows)
        if len(fetched) == 5:  # twice before, for the shapes
            raise BenchError("the photo is gone")
        return task.fetch(rows)

    observer = RecordingObserver()
    with pytest.raises(BenchError, match=r"^the photo is gone$"):
        train(replace(task, fetch=failing), folder, observer)
    assert observer.epochs == [1, 2]
    observer = RecordingObserver()
    network = train(deterministic_task(), folder, observer)
    assert observer.epochs == [1, 2, 3, 4, 5], "each is reported once, also those before"
    assert same_weights(folder, uninterrupted.folder)
    assert network.best_epoch == uninterrupted.best_epoch
    for resumed, expected in zip(network.epochs, uninterrupted.epochs, strict=True):
        assert {**resumed, "seconds": 0} == {**expected, "seconds": 0}
    assert not list(folder.glob("*.weights.h5"))


def starts_over(folder, uninterrupted, **options):
    """Train for one epoch; check that its metrics are those of a new training."""
    observer = RecordingObserver(stop_after=1)
    with pytest.raises(InterruptedError):
        train(deterministic_task(**options), folder, observer)
    (state,) = (json.loads(path.read_text()) for path in folder.glob("state.json"))
    (epoch,) = state["epochs"]
    return {**epoch, "seconds": 0} == {**uninterrupted.epochs[0], "seconds": 0}


def test_training_starts_over_without_resume(uninterrupted, interrupted, tmp_path):
    folder = shutil.copytree(interrupted, tmp_path / "training")
    assert starts_over(folder, uninterrupted, resume=False)


def damage_state(folder):
    (folder / "state.json").write_text('{"epochs": [1, 2]}')


def damage_weights(folder):
    path = folder / "checkpoint-2.weights.h5"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def lose_best_weights(folder):
    path = folder / "state.json"
    state = json.loads(path.read_text())
    state["epochs"][0]["val_loss"] = 0.0  # the first epoch was the best, and its weights are gone
    path.write_text(json.dumps(state))


@pytest.mark.parametrize("damage", [damage_state, damage_weights, lose_best_weights])
def test_a_damaged_checkpoint_is_reported_and_ignored(
    damage, uninterrupted, interrupted, tmp_path, caplog
):
    folder = shutil.copytree(interrupted, tmp_path / "training")
    damage(folder)
    with caplog.at_level(logging.WARNING):
        assert starts_over(folder, uninterrupted), "no weights of the checkpoint remain"
    assert "training starts over" in caplog.text


@pytest.mark.slow
def test_training_from_augmented_pixels_resumes_to_identical_weights(tmp_path):
    option = cnn(deterministic=True, augment=OriginalAugment())
    task = pixel_task(option, colored_images(COUNTS))
    whole = train(task, tmp_path / "whole", RecordingObserver())
    with pytest.raises(InterruptedError):
        train(task, tmp_path / "interrupted", RecordingObserver(stop_after=3))
    train(task, tmp_path / "interrupted", RecordingObserver())
    assert same_weights(tmp_path / "interrupted", whole.folder)
    assert whole.epochs[-1]["loss"] < whole.epochs[0]["loss"]
