"""Embeddings of a trained network: trained once for all who ask for the same, and kept."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from outliers_bench.engines.options import Engine
from outliers_bench.errors import BenchError
from outliers_bench.features.extract import Features
from outliers_bench.models.pooling import Pooling
from outliers_bench.models.tta import Crops, Tta
from outliers_bench.runtime.meter import Meter
from outliers_bench.training import embeddings as vectors_module
from outliers_bench.training.augment import OriginalAugment
from outliers_bench.training.base import Layer
from outliers_bench.training.embeddings import TrainedEmbeddings
from outliers_bench.training.networks import Trainable
from outliers_bench.training.options import Loss
from outliers_bench.training.saved_network import is_trained, read_metadata
from outliers_bench.types import ImageSet
from tests.toys import ArrayReader, digest
from tests.training_toys import (
    RecordingObserver,
    cnn,
    colored_images,
    lite0_transfer,
    pixel_transfer,
    same_weights,
    small_transfer,
    mobilenet_transfer,
    read_weights,
)

COUNTS = {"ant": 9, "bee": 8, "cat": 7}
TRAIN = colored_images(COUNTS, side=30)  # not the network's size
ASKED = colored_images(COUNTS, seed=1, prefix="asked-", side=30)


class Toy:
    """A train part and images that are asked for, with one reader that counts."""

    def __init__(self, train: ImageSet = TRAIN, asked: ImageSet = ASKED) -> None:
        self.reader = ArrayReader({**train.reader.arrays, **asked.reader.arrays})
        self.train = replace(train, reader=self.reader)
        self.images = ImageSet(
            (*train.names, *asked.names),
            (*train.digests, *asked.digests),
            None,
            train.classes,
            self.reader,
        )


def learned(option, cache, toy=None, watch=None):
    """The vectors, the network, what was taken down, and the toy."""
    toy, watch, meter = toy or Toy(), watch or RecordingObserver(), Meter()
    made = TrainedEmbeddings(option, Engine(), cache, meter)
    assert made.compute(toy.images, commit=lambda: None) == {}
    made.fit(toy.train, toy.images, watch)
    return made, watch, meter, toy


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    cache = tmp_path_factory.mktemp("cache")
    made, watch, meter, toy = learned(pixel_transfer(), cache)
    assert watch.confirmed, "asked before the training"
    decoded = sorted(toy.reader.decoded)
    assert decoded == sorted(toy.images.names), "what fits into memory is decoded once"
    return cache, made.load(toy.images), watch.networks[0], meter, toy


def softmax(logits):
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


def squeezed(images: ImageSet, side: int):
    from outliers_bench.data.decode import resize

    return np.stack([resize(images.read(row), side) for row in range(len(images))])


def test_embeddings_are_what_the_kept_network_gives(first):
    import keras

    _, logits, network, meter, toy = first
    assert network.fresh
    model = keras.models.load_model(network.folder / "model.keras")
    probabilities = model.predict(squeezed(toy.images, 22).astype(np.float32), verbose=0)
    assert softmax(logits) == pytest.approx(probabilities, abs=1e-5)
    assert meter.counts["epochs"] == 5
    assert meter.counts["best_epoch"] == network.best_epoch
    assert (
        meter.counts["best_val_accuracy"]
        == (network.epochs[network.best_epoch - 1]["val_accuracy"])
    )
    assert meter.features_computed == len(toy.images)


def test_the_second_time_nothing_is_trained_or_decoded(first):
    cache, logits, network, _, _ = first
    made, watch, meter, toy = learned(pixel_transfer(), cache)
    assert watch.epochs == [1, 2, 3, 4, 5], "told all the same"
    assert watch.networks == [replace(network, fresh=False)]
    assert not watch.confirmed
    assert not toy.reader.decoded
    assert meter.features_computed == 0
    assert np.array_equal(made.load(toy.images), logits)


def test_the_order_of_files_and_their_names_decide_nothing(first):
    cache, logits, network, _, _ = first
    rows = np.random.default_rng(0).permutation(len(TRAIN))
    shuffled = TRAIN.take(rows)
    renamed = replace(
        shuffled,
        names=tuple(f"renamed-{row}" for row in rows),
        reader=ArrayReader({f"renamed-{row}": TRAIN.read(int(row)) for row in rows}),
    )
    made, watch, _, toy = learned(pixel_transfer(), cache, Toy(renamed))
    assert [found.folder for found in watch.networks] == [network.folder]
    assert np.array_equal(made.load(toy.images)[: len(rows)], logits[rows])


class Trains(Exception):
    pass


@pytest.fixture
def refusing(monkeypatch):
    def refuse(*_):
        raise Trains

    monkeypatch.setattr(vectors_module, "train", refuse)


def test_how_a_network_is_used_trains_none_anew(first, refusing):
    cache, _, network, _, _ = first
    for option in (
        pixel_transfer(memory_gb=1.0),
        pixel_transfer(resume=False),
        pixel_transfer(embedding=Layer.penultimate),
        pixel_transfer(embedding=Layer.backbone, tta=Tta(flip=True)),
    ):
        made, watch, _, toy = learned(option, cache)
        assert [found.folder for found in watch.networks] == [network.folder]
        length = 3 if option.embedding is Layer.logits else 128
        assert made.load(toy.images).shape == (48, length)


def test_what_it_depends_on_trains_anew(first, refusing):
    cache = first[0]
    labels = TRAIN.labels.copy()
    labels[[0, -1]] = labels[[-1, 0]]
    classes = ("ant", "bee", "wolf", "dog")
    for option, train in (
        (pixel_transfer(epochs=6), TRAIN),
        (pixel_transfer(random_seed=1), TRAIN),
        (pixel_transfer(augment=OriginalAugment()), TRAIN),
        (pixel_transfer(), replace(TRAIN, labels=labels)),
        (pixel_transfer(), replace(TRAIN, classes=classes)),
        (pixel_transfer(), replace(TRAIN, digests=(digest("another photo"), *TRAIN.digests[1:]))),
        (pixel_transfer(), TRAIN.take(range(len(TRAIN) - 1))),
        (pixel_transfer(), replace(TRAIN, groups=tuple(str(i // 2) for i in range(len(TRAIN))))),
    ):
        with pytest.raises(Trains):
            learned(option, cache, Toy(train))


def test_a_trained_network_is_used_as_it_is(first, refusing):
    cache, logits, network, _, _ = first
    file = network.folder / "model.keras"
    assert is_trained(str(file))
    about = read_metadata(file)
    assert about.classes == ("ant", "bee", "cat")
    assert about.dimensions == {"penultimate": 128, "backbone": 128, "logits": 3}
    assert about.options == pixel_transfer().architecture_options()
    option = pixel_transfer(weights=str(file))
    assert option.ready
    option.check()
    made, watch, _, toy = learned(option, cache)
    assert not watch.networks
    assert np.array_equal(made.load(toy.images), logits)


def test_a_file_that_was_not_trained_here(tmp_path):
    path = tmp_path / "model.keras"
    path.write_bytes(b"PK no archive")
    assert not is_trained(str(path))
    with pytest.raises(BenchError, match="no network that was trained here"):
        read_metadata(path)
    with pytest.raises(BenchError, match=r"model\.weights="):
        cnn(weights=str(path)).check()


def test_beyond_memory_images_are_decoded_every_epoch_and_one_that_breaks_is_named(tmp_path):
    toy = Toy()

    class Breaks(RecordingObserver):
        def epoch(self, number, figures):
            super().epoch(number, figures)
            if number == 2:
                del toy.reader.arrays["bee-3"]

    watch = Breaks()
    with pytest.raises(BenchError, match=r"^bee-3: broken on purpose$"):
        learned(pixel_transfer(memory_gb=0.0, validation=0.0), tmp_path, toy, watch)
    assert watch.epochs == [1, 2]
    times = toy.reader.decoded.count("ant-0")
    assert 3 <= times <= 5, "once to look, then once an epoch"


def test_unreadable_images_are_told_before_the_training(tmp_path):
    toy = Toy()
    for name in ("ant-1", "asked-cat-2"):
        del toy.reader.arrays[name]
    made = TrainedEmbeddings(pixel_transfer(), Engine(), tmp_path, Meter())
    found = made.compute(toy.images, commit=lambda: None)
    assert sorted(item.name for item in found.values()) == ["ant-1", "asked-cat-2"]


def test_a_part_in_which_one_class_is_left(tmp_path):
    """What was refused early can still come about, by images that cannot be read."""
    toy = Toy()
    made = TrainedEmbeddings(pixel_transfer(), Engine(), tmp_path, Meter())
    made.compute(toy.images, commit=lambda: None)
    for rows in (range(9), ()):
        with pytest.raises(BenchError, match="not of two classes"):
            made.fit(toy.train.take(rows), toy.images, RecordingObserver())


def test_damaged_remains_are_trained_again(first, refusing, tmp_path):
    cache = shutil.copytree(first[0], tmp_path / "cache")
    folder = cache / "trained" / first[2].folder.name
    (folder / "training.json").write_text("{")
    with pytest.raises(Trains):
        learned(pixel_transfer(), cache)


def keras_parts(folder):
    """The network that was kept, and the part of it before its head."""
    import keras

    network = keras.models.load_model(folder / "model.keras")
    return network, keras.Model(network.input, network.get_layer("scores").input)


def head_weights(folder):
    """Arrays of the classifying layer alone."""
    arrays = [array for array in read_weights(folder).values() if array.shape[-1:] == (3,)]
    return sorted((array for array in arrays if array.ndim < 4), key=np.ndim)


@pytest.mark.slow
@pytest.mark.parametrize("pooling", [Pooling.avg, Pooling.flatten])
def test_the_shortcut_of_a_frozen_backbone_changes_nothing_but_the_time(pooling, tmp_path):
    options = {"pooling": pooling, "image_size": 32, "epochs": 8, "learning_rate": 0.002}
    networks, embeddings = [], []
    for number, stored in enumerate((True, False)):
        option = lite0_transfer(store_features=stored, **options)
        made, watch, _, toy = learned(option, tmp_path / str(number))
        networks.append(watch.networks[0])
        embeddings.append(made.load(toy.images))
    short, plain = networks
    network, head = keras_parts(short.folder)
    photos = squeezed(toy.images, 32).astype(np.float32)
    assert network.predict(photos, verbose=0).shape == (48, 3)
    assert head.predict(photos, verbose=0).std(axis=0).mean() > 0.001, "there is something to see"
    assert short.epochs[-1]["accuracy"] > 0.6, "and it is learned"
    for mine, theirs in zip(short.epochs, plain.epochs, strict=True):
        assert mine["val_accuracy"] == pytest.approx(theirs["val_accuracy"], abs=1e-3)
        assert mine["loss"] == pytest.approx(theirs["loss"], rel=1e-3)
        assert mine["val_loss"] == pytest.approx(theirs["val_loss"], rel=1e-3)
    for mine, theirs in zip(head_weights(short.folder), head_weights(plain.folder), strict=True):
        assert mine == pytest.approx(theirs, abs=2e-3)
    assert embeddings[0] == pytest.approx(embeddings[1], abs=2e-2)


@pytest.mark.slow
def test_a_frozen_backbone_runs_once_and_is_shared(tmp_path):
    """Another head, another layer and more photos take the backbone's features from the store."""
    option = mobilenet_transfer(pooling=Pooling.avg)
    _, watch, _, _ = learned(option, tmp_path)
    assert watch.networks[0].fresh
    for other in (
        mobilenet_transfer(pooling=Pooling.avg, hidden=5),
        mobilenet_transfer(pooling=Pooling.avg, hidden=5, embedding=Layer.penultimate),
        mobilenet_transfer(pooling=Pooling.avg, learning_rate=0.1),
    ):
        made, _, _, toy = learned(other, tmp_path)
        assert set(toy.reader.decoded) <= {toy.images.names[0], *toy.train.names[:30]}
        assert len(toy.reader.decoded) <= 1, "but the example that is kept with the network"
        assert made.load(toy.images).shape[1] == (5 if other.embedding is Layer.penultimate else 3)


@pytest.mark.slow
def test_a_backbone_that_learns_or_sees_changed_images_takes_no_shortcut(tmp_path, monkeypatch):
    widths = []

    def spied(task, *_):
        widths.append(task.width)
        raise Trains

    monkeypatch.setattr(vectors_module, "train", spied)
    for option in (
        mobilenet_transfer(pooling=Pooling.avg),
        mobilenet_transfer(pooling=Pooling.avg, store_features=False),
        mobilenet_transfer(pooling=Pooling.avg, memory_gb=0.0),
        mobilenet_transfer(pooling=Pooling.avg, trainable=Trainable.last_layers),
        mobilenet_transfer(pooling=Pooling.avg, trainable=Trainable.all),
        mobilenet_transfer(pooling=Pooling.avg, augment=OriginalAugment()),
    ):
        with pytest.raises(Trains):
            learned(option, tmp_path)
    assert widths == [1024, None, 1024, None, None, None]


@pytest.mark.slow
def test_a_frozen_backbone_stays_as_it_was_and_one_that_is_trained_does_not(tmp_path):
    """Batch normalization of the frozen one too, statistics and all."""

    def learns(trainable, epochs):
        options = {"store_features": False, "validation": 0.0}
        option = lite0_transfer(trainable=trainable, epochs=epochs, **options)
        return read_weights(learned(option, tmp_path)[1].networks[0].folder)

    frozen, longer = (learns(Trainable.head_only, epochs) for epochs in (1, 2))
    whole, last = learns(Trainable.all, 1), learns(Trainable.last_layers, 1)
    head = [name for name, array in frozen.items() if array.shape in ((1280, 3), (3,))]
    inside = [name for name in frozen if name not in head]
    assert len(head) == 2
    assert all(np.array_equal(frozen[name], longer[name]) for name in inside)
    assert not all(np.array_equal(frozen[name], longer[name]) for name in head)
    changed = sum(not np.array_equal(frozen[name], whole[name]) for name in inside)
    assert changed > 0.9 * len(inside)
    moved = sum(not np.array_equal(frozen[name], last[name]) for name in inside)
    assert 0 < moved < 0.1 * len(inside), "the last layers, and no other"


@pytest.mark.slow
def test_what_the_backbone_gives_is_the_same_by_every_way(tmp_path):
    """Under the shortcut, without it, and as a backbone by itself."""
    option = lite0_transfer(embedding=Layer.backbone, epochs=1, pooling=Pooling.flatten)
    short, _, _, toy = learned(option, tmp_path / "short")
    plain = learned(replaced(option, store_features=False), tmp_path / "plain")[0]
    alone = Features(replace(option.base, pooling=Pooling.avg), Engine(), tmp_path, Meter())
    alone.compute(toy.images, commit=lambda: None)
    expected = alone.load(toy.images)
    assert expected.std(axis=0).mean() > 0.001
    assert np.array_equal(short.load(toy.images), expected)
    assert plain.load(toy.images) == pytest.approx(expected, abs=1e-3)


def replaced(option, **options):
    """The same with other options; `replace` leaves out what is composed."""
    other = replace(option, **options)
    other.base = option._base
    return other


@pytest.mark.slow
def test_memory_decides_how_stored_features_are_read_and_nothing_else(tmp_path):
    option = small_transfer(deterministic=True, epochs=2)
    folders = []
    for number, memory in enumerate((2.0, 0.0)):
        made, watch, _, toy = learned(replaced(option, memory_gb=memory), tmp_path / str(number))
        folders.append((watch.networks[0].folder, made.load(toy.images)))
    (one, embedded), (other, again) = folders
    assert one.name == other.name
    assert same_weights(one, other)
    assert np.array_equal(embedded, again)


@pytest.fixture(scope="module")
def kept_small(tmp_path_factory):
    cache = tmp_path_factory.mktemp("small")
    return learned(small_transfer(epochs=1), cache)[1].networks[0].folder / "model.keras"


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
def test_a_network_of_other_options_is_refused_with_those_to_give(other, expected, kept_small):
    small_transfer(weights=str(kept_small)).check()
    option = small_transfer(weights=str(kept_small), **other)
    with pytest.raises(BenchError, match="was trained with other options; give ") as caught:
        option.check()
    assert str(caught.value).endswith(f"give {expected}")
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_crops_of_a_network_from_pixels_are_those_of_its_file(first):
    """They are cut from larger photos than it was trained on."""
    cache, _, network, _, _ = first
    views = Tta(crops=Crops.five)
    made, _, _, toy = learned(pixel_transfer(tta=views), cache)
    crops = made.load(toy.images)
    again, watch, _, _ = learned(
        pixel_transfer(tta=views, weights=str(network.folder / "model.keras")), cache.parent / "crops"
    )
    assert not watch.networks
    assert np.array_equal(again.load(toy.images), crops)
