"""Embeddings of trained networks: cached, retrained when needed, and checked."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from outliers_bench.engines.options import Engine
from outliers_bench.engines.protocols import EngineKind, Precision
from outliers_bench.errors import BenchError
from outliers_bench.models.pooling import Pooling
from outliers_bench.models.tta import Crops, Tta
from outliers_bench.runtime.meter import Meter
from outliers_bench.training import embeddings as embeddings_module
from outliers_bench.training.augment import OriginalAugment
from outliers_bench.training.base import Layer
from outliers_bench.training.embeddings import TrainedEmbeddings
from outliers_bench.training.options import Loss
from outliers_bench.training.saved_network import is_trained, read_metadata
from tests.toys import ArrayReader, digest
from tests.training.embeddings_toys import TRAIN, Toy, TrainingStarted, fit, resized
from tests.training_toys import (
    RecordingObserver,
    cnn,
    pixel_transfer,
    small_transfer,
)


@pytest.fixture(scope="module")
def first_run(tmp_path_factory):
    cache = tmp_path_factory.mktemp("cache")
    embeddings, observer, meter, toy = fit(pixel_transfer(), cache)
    decoded = sorted(toy.reader.decoded)
    assert decoded == sorted(toy.images.names), "images that fit into memory are decoded once"
    return cache, embeddings.load(toy.images).matrix, observer.networks[0], meter, toy


def softmax(logits):
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def test_embeddings_are_the_outputs_of_the_saved_network(first_run):
    import keras

    _, logits, network, meter, toy = first_run
    assert network.fresh
    model = keras.models.load_model(network.folder / "model.keras")
    probabilities = model.predict(resized(toy.images, 22).astype(np.float32), verbose=0)
    assert softmax(logits) == pytest.approx(probabilities, abs=1e-5)
    assert meter.counts["epochs"] == 5
    assert meter.counts["best_epoch"] == network.best_epoch
    assert (
        meter.counts["best_val_accuracy"]
        == (network.epochs[network.best_epoch - 1]["val_accuracy"])
    )
    assert meter.features_computed == len(toy.images)


def test_a_second_run_trains_and_decodes_nothing(first_run):
    cache, logits, network, _, _ = first_run
    embeddings, observer, meter, toy = fit(pixel_transfer(), cache)
    assert observer.epochs == [1, 2, 3, 4, 5], "reported again"
    assert observer.networks == [replace(network, fresh=False)]
    assert not toy.reader.decoded
    assert meter.features_computed == 0
    assert np.array_equal(embeddings.load(toy.images).matrix, logits)


def test_file_names_and_their_order_have_no_effect(first_run):
    cache, logits, network, _, _ = first_run
    rows = np.random.default_rng(0).permutation(len(TRAIN))
    shuffled = TRAIN.take(rows)
    renamed = replace(
        shuffled,
        names=tuple(f"renamed-{row}" for row in rows),
        reader=ArrayReader({f"renamed-{row}": TRAIN.read(int(row)) for row in rows}),
    )
    embeddings, observer, _, toy = fit(pixel_transfer(), cache, Toy(renamed))
    assert [trained.folder for trained in observer.networks] == [network.folder]
    assert np.array_equal(embeddings.load(toy.images).matrix[: len(rows)], logits[rows])


@pytest.fixture
def no_training(monkeypatch):
    def refuse(*_):
        raise TrainingStarted

    monkeypatch.setattr(embeddings_module, "train", refuse)


def test_usage_options_do_not_retrain(first_run, no_training):
    cache, _, network, _, _ = first_run
    for option in (
        pixel_transfer(memory_gb=1.0),
        pixel_transfer(resume=False),
        pixel_transfer(embedding=Layer.penultimate),
        pixel_transfer(embedding=Layer.backbone, tta=Tta(flip=True)),
    ):
        embeddings, observer, _, toy = fit(option, cache)
        assert [trained.folder for trained in observer.networks] == [network.folder]
        length = 3 if option.embedding is Layer.logits else 128
        assert embeddings.load(toy.images).matrix.shape == (48, length)


def test_training_options_photos_and_labels_retrain(first_run, no_training):
    cache = first_run[0]
    labels = TRAIN.labels.copy()
    labels[[0, -1]] = labels[[-1, 0]]
    classes = ("ant", "bee", "wolf", "dog")
    groups = np.array([str(i // 2) for i in range(len(TRAIN))], dtype=object)
    for option, train in (
        (pixel_transfer(epochs=6), TRAIN),
        (pixel_transfer(random_seed=1), TRAIN),
        (pixel_transfer(augment=OriginalAugment()), TRAIN),
        (pixel_transfer(), replace(TRAIN, labels=labels)),
        (pixel_transfer(), replace(TRAIN, classes=classes)),
        (pixel_transfer(), replace(TRAIN, digests=(digest("another photo"), *TRAIN.digests[1:]))),
        (pixel_transfer(), TRAIN.take(range(len(TRAIN) - 1))),
        (pixel_transfer(), replace(TRAIN, columns={"group": groups})),
    ):
        with pytest.raises(TrainingStarted):
            fit(option, cache, Toy(train))


def test_a_trained_network_is_used_without_training(first_run, no_training):
    cache, logits, network, _, _ = first_run
    file = network.folder / "model.keras"
    assert is_trained(str(file))
    metadata = read_metadata(file)
    assert metadata.classes == ("ant", "bee", "cat")
    assert metadata.dimensions == {"penultimate": 128, "backbone": 128, "logits": 3}
    assert metadata.options == pixel_transfer().architecture_options()
    option = pixel_transfer(weights=str(file))
    assert option.ready
    option.check()
    embeddings, observer, _, toy = fit(option, cache)
    assert not observer.networks
    assert np.array_equal(embeddings.load(toy.images).matrix, logits)


def test_a_trained_network_in_bfloat16(first_run, tmp_path):
    _, logits, network, _, toy = first_run
    option = pixel_transfer(weights=str(network.folder / "model.keras"))
    engine = Engine(kind=EngineKind.keras, precision=Precision.bf16)
    embeddings = TrainedEmbeddings(option, engine, tmp_path, Meter())
    embeddings.compute(toy.images)
    error = np.abs(embeddings.load(toy.images).matrix - logits).max() / np.abs(logits).max()
    assert 1e-4 < error < 0.1, "rounded to 8 bits"


def test_a_file_that_is_not_a_trained_network(tmp_path):
    path = tmp_path / "model.keras"
    path.write_bytes(b"PK no archive")
    assert not is_trained(str(path))
    with pytest.raises(BenchError, match="not a network trained by this package"):
        read_metadata(path)
    with pytest.raises(BenchError, match=r"model\.weights="):
        cnn(weights=str(path)).check()


def test_beyond_memory_images_are_decoded_in_each_epoch_and_errors_name_the_image(tmp_path):
    toy = Toy()

    class DeletesImage(RecordingObserver):
        def on_epoch_end(self, number, metrics):
            super().on_epoch_end(number, metrics)
            if number == 2:
                del toy.reader.arrays["bee-3"]

    observer = DeletesImage()
    with pytest.raises(BenchError, match=r"^bee-3: broken on purpose$"):
        fit(pixel_transfer(memory_gb=0.0, validation=0.0), tmp_path, toy, observer)
    assert observer.epochs == [1, 2]
    times = toy.reader.decoded.count("ant-0")
    assert 3 <= times <= 5, "once to check, then once per epoch"


def test_unreadable_images_are_reported_before_the_training(tmp_path):
    toy = Toy()
    for name in ("ant-1", "query-cat-2"):
        del toy.reader.arrays[name]
    embeddings = TrainedEmbeddings(pixel_transfer(), Engine(), tmp_path, Meter())
    unreadable = embeddings.compute(toy.images)
    assert sorted(item.name for item in unreadable.values()) == ["ant-1", "query-cat-2"]


def test_a_train_part_with_fewer_than_two_classes(tmp_path):
    """Unreadable images can leave one class, after the options have been checked."""
    toy = Toy()
    embeddings = TrainedEmbeddings(pixel_transfer(), Engine(), tmp_path, Meter())
    embeddings.compute(toy.images)
    for rows in (range(9), ()):
        with pytest.raises(BenchError, match="fewer than two classes"):
            embeddings.fit(toy.train.take(rows), toy.images, RecordingObserver())


def test_a_damaged_record_is_trained_again(first_run, no_training, tmp_path):
    cache = shutil.copytree(first_run[0], tmp_path / "cache")
    folder = cache / "trained" / first_run[2].folder.name
    (folder / "training.json").write_text("{")
    with pytest.raises(TrainingStarted):
        fit(pixel_transfer(), cache)


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ({"pooling": Pooling.max}, "model.pooling=avg"),
        ({"hidden": 4}, "model.hidden=null"),
        ({"image_size": 40}, "model.image_size=22"),
        ({"loss": Loss.arcface}, "model.loss=cross_entropy"),
        ({"backbone": "vgg16"}, "model=transfer_mobilenet"),
    ],
)
def test_a_network_trained_with_other_options_is_rejected(other, expected, first_run):
    file = str(first_run[2].folder / "model.keras")
    small_transfer(weights=file).check()
    option = small_transfer(weights=file, **other)
    with pytest.raises(BenchError, match="was trained with other options; use ") as caught:
        option.check()
    assert str(caught.value).endswith(f"use {expected}")
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_crops_after_training_equal_those_of_the_saved_network(first_run):
    """Crops are taken from larger photos than those of the training."""
    cache, _, network, _, _ = first_run
    views = Tta(crops=Crops.five)
    embeddings, _, _, toy = fit(pixel_transfer(tta=views), cache)
    crops = embeddings.load(toy.images).matrix
    saved, observer, _, _ = fit(
        pixel_transfer(tta=views, weights=str(network.folder / "model.keras")),
        cache.parent / "crops",
    )
    assert not observer.networks
    assert np.array_equal(saved.load(toy.images).matrix, crops)
