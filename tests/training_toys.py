"""Trainings that take a second, and what tests ask of them."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np

from outliers_bench.models.backbone import Backbone
from outliers_bench.models.efficientnet_lite0 import EfficientNetLite0
from outliers_bench.models.pooling import Pooling
from outliers_bench.runtime.training_observer import NullObserver
from outliers_bench.training.dataset import image_fetcher
from outliers_bench.training.fit import TrainingTask
from outliers_bench.training.models import CnnScratch, Transfer
from outliers_bench.types import ImageSet
from tests.toys import ArrayReader, image_set

SIDE = 22  # the smallest that cnn_scratch takes
WIDTH = 128  # of the backbone of `small_transfer`
COLORS = {"ant": (200, 60, 60), "bee": (60, 200, 60), "cat": (60, 60, 200), "dog": (160, 160, 40)}


class RecordingObserver(NullObserver):
    """Takes down what a watcher is told; raises after an epoch if it is asked to."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.stop_after = stop_after
        self.epochs: list[int] = []
        self.networks = []
        self.confirmed = 0

    def confirm(self):
        self.confirmed += 1

    def epoch(self, number, figures):
        self.epochs.append(number)
        if number == self.stop_after:
            raise InterruptedError(f"after epoch {number}")

    def trained(self, network):
        self.networks.append(network)


def colored_images(counts: dict[str, int], *, seed: int = 0, side: int = SIDE, prefix: str = ""):
    """Noise around a color for each class; what is in an image follows from its name."""
    arrays, labels = {}, []
    classes = sorted(COLORS)
    rng = np.random.default_rng(seed)
    for kind, count in counts.items():
        for i in range(count):
            noise = rng.normal(0, 40, (side, side, 3))
            arrays[f"{prefix}{kind}-{i}"] = np.clip(COLORS[kind] + noise, 0, 255).astype(np.uint8)
            labels.append(classes.index(kind))
    return image_set(list(arrays), labels, classes, ArrayReader(arrays))


def cnn(**options) -> CnnScratch:
    usual = {"image_size": SIDE, "epochs": 5, "batch_size": 8, "validation": 0.25}
    return CnnScratch(**(usual | options))


class ToyBackbone(Backbone):
    """One convolution, which is built in no time."""

    def network(self, *, pretrained):
        import keras

        keras.utils.set_random_seed(self.random_seed)
        images = keras.Input((self.image_size, self.image_size, 3))
        x = keras.layers.Conv2D(WIDTH, 3, strides=8, name="only_conv")(images)
        return keras.Model(images, keras.layers.GlobalAveragePooling2D()(x), name="toy")


def small_transfer(**options) -> Transfer:
    """A head on a backbone of one layer."""
    usual = {"image_size": SIDE, "epochs": 5, "batch_size": 8, "validation": 0.25}
    usual |= {"weights": "random", "pooling": Pooling.avg}
    option = Transfer(**(usual | options))
    option.base = ToyBackbone("toy", SIDE, "VGG16", WIDTH, SIDE, weights="random")
    return option


def pixel_transfer(**options) -> Transfer:
    """The same, trained from pixels."""
    return small_transfer(**({"store_features": False} | options))


def lite0_transfer(**options) -> Transfer:
    """EfficientNet-Lite0 with the ImageNet weights that come as a package."""
    usual = {"image_size": 32, "epochs": 3, "batch_size": 8, "validation": 0.25}
    option = Transfer(**(usual | {"weights": "imagenet", "pooling": Pooling.avg} | options))
    option.backbone = "efficientnet_lite0"
    option.base = EfficientNetLite0("efficientnet_lite0", 224)
    return option


def mobilenet_transfer(*, backbone_seed: int = 0, **options) -> Transfer:
    """MobileNet with random weights."""
    usual = {"image_size": 32, "epochs": 3, "batch_size": 8, "validation": 0.25}
    option = Transfer(**(usual | {"weights": "random", "random_seed": backbone_seed} | options))
    option.base = Backbone("mobilenet", 224, keras="MobileNet", dim=1024)
    return option


def pixel_task(option, part: ImageSet) -> TrainingTask:
    """Learn from pixels, which have the network's size already."""
    return TrainingTask(
        option, part, image_fetcher(part), None, lambda: part.read(0)[None].astype("f4")
    )


def head_task(option: Transfer, counts: dict[str, int], *, seed: int = 0, spread: float = 0.7):
    """Learn from vectors, as those of a frozen backbone: many times faster than from pixels."""
    part = colored_images(counts, seed=seed)
    rng = np.random.default_rng(seed)
    centers = rng.normal(0, 1, (len(COLORS), WIDTH))
    vectors = centers[part.labels] + rng.normal(0, spread, (len(part), WIDTH)) * 3
    vectors = vectors.astype(np.float32)
    return TrainingTask(
        option, part, lambda rows: vectors[rows], WIDTH, lambda: part.read(0)[None].astype("f4")
    )


def read_weights(folder: Path) -> dict[str, np.ndarray]:
    """Every array in a folder's `model.keras`, by its place; without TensorFlow."""
    import h5py

    found = {}

    def take(name, item):
        if isinstance(item, h5py.Dataset):
            found[name] = item[()]

    with zipfile.ZipFile(folder / "model.keras") as archive:
        content = io.BytesIO(archive.read("model.weights.h5"))
    with h5py.File(content) as file:
        file.visititems(take)
    return found


def same_weights(one: Path, other: Path) -> bool:
    """Whether two networks are the same, down to the last bit."""
    first, second = read_weights(one), read_weights(other)
    assert first.keys() == second.keys()
    assert len(first) > 1
    return all(np.array_equal(array, second[name]) for name, array in first.items())


def read_record(folder: Path) -> dict:
    return json.loads((folder / "training.json").read_text())
