"""Trainings of a second or less, and helpers that inspect their results."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np

from outliers_bench.models.backbone import Backbone
from outliers_bench.models.efficientnet_lite0 import EfficientNetLite0
from outliers_bench.models.pooling import Pooling
from outliers_bench.runtime.training_observer import TrainingObserver
from outliers_bench.training.dataset import image_fetcher
from outliers_bench.training.fit import TrainingTask
from outliers_bench.training.models import CnnScratch, Transfer
from outliers_bench.types import ImageSet
from tests.toys import ArrayReader, image_set

SIDE = 22  # the smallest side for cnn_scratch
WIDTH = 128  # length of the vectors of ToyBackbone
COUNTS = {"ant": 9, "bee": 8, "cat": 7}
COLORS = {"ant": (200, 60, 60), "bee": (60, 200, 60), "cat": (60, 60, 200), "dog": (160, 160, 40)}


class RecordingObserver(TrainingObserver):
    """Records what a training reports; raises after an epoch if `stop_after` is given."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.stop_after = stop_after
        self.epochs: list[int] = []
        self.networks = []

    def on_epoch_end(self, number, metrics):
        self.epochs.append(number)
        if number == self.stop_after:
            raise InterruptedError(f"after epoch {number}")

    def on_train_end(self, network):
        self.networks.append(network)


def colored_images(counts: dict[str, int], *, seed: int = 0, side: int = SIDE, prefix: str = ""):
    """Return labeled images: noise around one color per class."""
    arrays, labels = {}, []
    classes = sorted(COLORS)
    rng = np.random.default_rng(seed)
    for name, count in counts.items():
        for i in range(count):
            noise = rng.normal(0, 40, (side, side, 3))
            arrays[f"{prefix}{name}-{i}"] = np.clip(COLORS[name] + noise, 0, 255).astype(np.uint8)
            labels.append(classes.index(name))
    return image_set(list(arrays), labels, classes, ArrayReader(arrays))


def cnn(**options) -> CnnScratch:
    defaults = {"image_size": SIDE, "epochs": 5, "batch_size": 8, "validation": 0.25}
    return CnnScratch(**(defaults | options))


class ToyBackbone(Backbone):
    """A backbone of one convolution, which builds instantly."""

    def network(self, *, pretrained):
        import keras

        keras.utils.set_random_seed(self.random_seed)
        images = keras.Input((self.image_size, self.image_size, 3))
        x = keras.layers.Conv2D(WIDTH, 3, strides=8, name="only_conv")(images)
        return keras.Model(images, keras.layers.GlobalAveragePooling2D()(x), name="toy")


def small_transfer(**options) -> Transfer:
    """Return a head on a backbone of one layer."""
    defaults = {"image_size": SIDE, "epochs": 5, "batch_size": 8, "validation": 0.25}
    defaults |= {"weights": "random", "pooling": Pooling.avg}
    option = Transfer(**(defaults | options))
    option.base = ToyBackbone("toy", SIDE, "VGG16", WIDTH, SIDE, weights="random")
    return option


def pixel_transfer(**options) -> Transfer:
    """Return the same network, trained from pixels."""
    return small_transfer(**({"store_features": False} | options))


def lite0_transfer(**options) -> Transfer:
    """Return EfficientNet-Lite0 with the ImageNet weights that are available as a package."""
    defaults = {"image_size": 32, "epochs": 3, "batch_size": 8, "validation": 0.25}
    option = Transfer(**(defaults | {"weights": "imagenet", "pooling": Pooling.avg} | options))
    option.backbone = "efficientnet_lite0"
    option.base = EfficientNetLite0("efficientnet_lite0", 224)
    return option


def mobilenet_transfer(*, backbone_seed: int = 0, **options) -> Transfer:
    """Return MobileNet with random weights."""
    defaults = {"image_size": 32, "epochs": 3, "batch_size": 8, "validation": 0.25}
    option = Transfer(**(defaults | {"weights": "random", "random_seed": backbone_seed} | options))
    option.base = Backbone("mobilenet", 224, keras="MobileNet", dim=1024)
    return option


def pixel_task(option, part: ImageSet) -> TrainingTask:
    """Return a task to learn from pixels, of images that have the network's size already."""
    return TrainingTask(option, part, image_fetcher(part))


def head_task(option: Transfer, counts: dict[str, int], *, seed: int = 0, spread: float = 0.7):
    """Return a task to learn from vectors like a frozen backbone's, much faster than pixels."""
    part = colored_images(counts, seed=seed)
    rng = np.random.default_rng(seed)
    centers = rng.normal(0, 1, (len(COLORS), WIDTH))
    vectors = centers[part.labels] + rng.normal(0, spread, (len(part), WIDTH)) * 3
    vectors = vectors.astype(np.float32)
    return TrainingTask(option, part, lambda rows: vectors[rows])


def deterministic_task(**options) -> TrainingTask:
    """Return a task whose training is bitwise reproducible."""
    return head_task(small_transfer(deterministic=True, **options), COUNTS)


def read_weights(folder: Path) -> dict[str, np.ndarray]:
    """Read all arrays of a folder's `model.keras`, by path, without TensorFlow."""
    import h5py

    arrays = {}

    def collect(name, item):
        if isinstance(item, h5py.Dataset):
            arrays[name] = item[()]

    with zipfile.ZipFile(folder / "model.keras") as archive:
        content = io.BytesIO(archive.read("model.weights.h5"))
    with h5py.File(content) as file:
        file.visititems(collect)
    return arrays


def same_weights(one: Path, other: Path) -> bool:
    """Check whether two networks are bitwise identical."""
    first, second = read_weights(one), read_weights(other)
    assert first.keys() == second.keys()
    assert len(first) > 1
    return all(np.array_equal(array, second[name]) for name, array in first.items())
