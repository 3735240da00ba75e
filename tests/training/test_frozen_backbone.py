"""Training on stored features of a frozen backbone."""

from dataclasses import replace

import numpy as np
import pytest

from outliers_bench.engines.options import Engine
from outliers_bench.features.extract import Features
from outliers_bench.models.pooling import Pooling
from outliers_bench.runtime.meter import Meter
from outliers_bench.training import embeddings as embeddings_module
from outliers_bench.training.augment import OriginalAugment
from outliers_bench.training.base import Layer
from outliers_bench.training.networks import Trainable
from tests.training.embeddings_toys import TrainingStarted, fit, resized
from tests.training_toys import (
    lite0_transfer,
    mobilenet_transfer,
    read_weights,
    same_weights,
    small_transfer,
)


def load_network(folder):
    """Return the saved network, and its part before the classification layer."""
    import keras

    network = keras.models.load_model(folder / "model.keras")
    return network, keras.Model(network.input, network.get_layer("scores").input)


def head_weights(folder):
    """Return the arrays of the classification layer."""
    arrays = [array for array in read_weights(folder).values() if array.shape[-1:] == (3,)]
    return sorted((array for array in arrays if array.ndim < 4), key=np.ndim)


@pytest.mark.slow
@pytest.mark.parametrize("pooling", [Pooling.avg, Pooling.flatten])
def test_training_from_stored_features_gives_the_same_network(pooling, tmp_path):
    options = {"pooling": pooling, "image_size": 32, "epochs": 8, "learning_rate": 0.002}
    networks, matrices = [], []
    for number, store_features in enumerate((True, False)):
        option = lite0_transfer(store_features=store_features, **options)
        embeddings, observer, _, toy = fit(option, tmp_path / str(number))
        networks.append(observer.networks[0])
        matrices.append(embeddings.load(toy.images).matrix)
    stored, plain = networks
    network, body = load_network(stored.folder)
    photos = resized(toy.images, 32).astype(np.float32)
    assert network.predict(photos, verbose=0).shape == (48, 3)
    assert body.predict(photos, verbose=0).std(axis=0).mean() > 0.001, "vectors differ"
    assert stored.epochs[-1]["accuracy"] > 0.6, "the head has learned"
    for epoch, expected in zip(stored.epochs, plain.epochs, strict=True):
        assert epoch["val_accuracy"] == pytest.approx(expected["val_accuracy"], abs=1e-3)
        assert epoch["loss"] == pytest.approx(expected["loss"], rel=1e-3)
        assert epoch["val_loss"] == pytest.approx(expected["val_loss"], rel=1e-3)
    for array, expected in zip(
        head_weights(stored.folder), head_weights(plain.folder), strict=True
    ):
        assert array == pytest.approx(expected, abs=2e-3)
    assert matrices[0] == pytest.approx(matrices[1], abs=2e-2)


@pytest.mark.slow
def test_features_of_a_frozen_backbone_are_computed_once_and_shared(tmp_path):
    """Other heads and embedding layers use the stored features of the backbone."""
    option = mobilenet_transfer(pooling=Pooling.avg)
    _, observer, _, _ = fit(option, tmp_path)
    assert observer.networks[0].fresh
    for other in (
        mobilenet_transfer(pooling=Pooling.avg, hidden=5),
        mobilenet_transfer(pooling=Pooling.avg, hidden=5, embedding=Layer.penultimate),
        mobilenet_transfer(pooling=Pooling.avg, learning_rate=0.1),
    ):
        embeddings, _, _, toy = fit(other, tmp_path)
        assert set(toy.reader.decoded) <= {toy.images.names[0], *toy.train.names[:30]}
        assert len(toy.reader.decoded) <= 1, "only the input example of the network"
        length = 5 if other.embedding is Layer.penultimate else 3
        assert embeddings.load(toy.images).matrix.shape[1] == length


@pytest.mark.slow
def test_stored_features_are_used_only_without_training_and_augmentation(tmp_path, monkeypatch):
    widths = []

    def spy(task, *_):
        widths.append(task.fetch(np.arange(1)).shape[1:])
        raise TrainingStarted

    monkeypatch.setattr(embeddings_module, "train", spy)
    for option in (
        mobilenet_transfer(pooling=Pooling.avg),
        mobilenet_transfer(pooling=Pooling.avg, store_features=False),
        mobilenet_transfer(pooling=Pooling.avg, memory_gb=0.0),
        mobilenet_transfer(pooling=Pooling.avg, trainable=Trainable.last_layers),
        mobilenet_transfer(pooling=Pooling.avg, trainable=Trainable.all),
        mobilenet_transfer(pooling=Pooling.avg, augment=OriginalAugment()),
    ):
        with pytest.raises(TrainingStarted):
            fit(option, tmp_path)
    assert widths == [(1024,), (32, 32, 3), (1024,), *[(32, 32, 3)] * 3]


@pytest.mark.slow
def test_only_trainable_layers_change(tmp_path):
    """A frozen backbone is unchanged, including the statistics of its batch normalization."""

    def train_weights(trainable, epochs):
        options = {"store_features": False, "validation": 0.0}
        option = lite0_transfer(trainable=trainable, epochs=epochs, **options)
        return read_weights(fit(option, tmp_path)[1].networks[0].folder)

    frozen, longer = (train_weights(Trainable.head_only, epochs) for epochs in (1, 2))
    whole, last = train_weights(Trainable.all, 1), train_weights(Trainable.last_layers, 1)
    head = [name for name, array in frozen.items() if array.shape in ((1280, 3), (3,))]
    inside = [name for name in frozen if name not in head]
    assert len(head) == 2
    assert all(np.array_equal(frozen[name], longer[name]) for name in inside)
    assert not all(np.array_equal(frozen[name], longer[name]) for name in head)
    changed = sum(not np.array_equal(frozen[name], whole[name]) for name in inside)
    assert changed > 0.9 * len(inside)
    changed = sum(not np.array_equal(frozen[name], last[name]) for name in inside)
    assert 0 < changed < 0.1 * len(inside), "only the last layers"


@pytest.mark.slow
def test_backbone_embeddings_equal_those_of_the_plain_backbone(tmp_path):
    """This holds with stored features and without."""
    option = lite0_transfer(embedding=Layer.backbone, epochs=1, pooling=Pooling.flatten)
    stored, _, _, toy = fit(option, tmp_path / "stored")
    plain = fit(replace_options(option, store_features=False), tmp_path / "plain")[0]
    alone = Features(replace(option.base, pooling=Pooling.avg), Engine(), tmp_path, Meter())
    alone.compute(toy.images)
    expected = alone.load(toy.images).matrix
    assert expected.std(axis=0).mean() > 0.001
    assert np.array_equal(stored.load(toy.images).matrix, expected)
    assert plain.load(toy.images).matrix == pytest.approx(expected, abs=1e-3)


def replace_options(option, **options):
    """Replace options; `dataclasses.replace` drops the resolved backbone."""
    other = replace(option, **options)
    other.base = option._base
    return other


@pytest.mark.slow
def test_the_memory_limit_does_not_affect_the_network(tmp_path):
    option = small_transfer(deterministic=True, epochs=2)
    folders, matrices = [], []
    for number, memory in enumerate((2.0, 0.0)):
        embeddings, observer, _, toy = fit(
            replace_options(option, memory_gb=memory), tmp_path / str(number)
        )
        folders.append(observer.networks[0].folder)
        matrices.append(embeddings.load(toy.images).matrix)
    assert folders[0].name == folders[1].name
    assert same_weights(*folders)
    assert np.array_equal(*matrices)
