"""A folder of ImageNet weights, and which file in it is a network's, by its name."""

from __future__ import annotations

import re
from pathlib import Path

from outliers_bench.errors import BenchError
from outliers_bench.features.applications import MODULES
from outliers_bench.features.weight_files import SUFFIXES


def imagenet_file(folder: Path, keras: str, *, image_size: int) -> Path | None:
    """The file of a network's ImageNet weights in a folder, or None.

    Files are told apart by the names under which Keras downloads them and the like, such as
    `vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5` or `mobilenet_1.0_224_notop.weights.h5`: the
    file belongs to the longest class name it begins with, so MobileNetV2's is not MobileNet's. One
    without a classification top goes first, then width 1.0, then the image size or else 224.

    Parameters
    ----------
    folder : Path
        Not looked into any deeper.
    keras : str
        Class name in keras.applications, such as "VGG16".
    image_size : int
        Side in pixels of the network's input: MobileNet has weights of its own for some.

    Raises
    ------
    BenchError
        If the folder is not there or cannot be read.
    """
    try:
        files = [path for path in folder.expanduser().iterdir() if _is_weights(path)]
    except OSError as error:
        raise BenchError(
            f"weights_dir={folder}: no folder that can be read ({error.strerror}); give the folder "
            "with the files of ImageNet weights, or leave it out to have Keras download them"
        ) from error
    known = {_normal(name): name for names in MODULES.values() for name in names}
    known[_normal(keras)] = keras

    def owner(path: Path) -> str | None:
        begins = [name for name in known if _normal(path.name).startswith(name)]
        return known[max(begins, key=len)] if begins else None

    def misfit(path: Path) -> tuple[bool, bool, bool, int, str]:
        name = path.name.lower()
        sizes = [str(image_size), "224"]
        return (
            "notop" not in _normal(name),
            "minimalistic" in name,  # MobileNetV3 with fewer kinds of layers
            re.search(r"(?<!\d)1[._]0(?!\d)", name) is None,
            next((place for place, size in enumerate(sizes) if size in name), len(sizes)),
            name,
        )

    return min((path for path in files if owner(path) == keras), key=misfit, default=None)


def _is_weights(path: Path) -> bool:
    return path.suffix in SUFFIXES and path.is_file()


def _normal(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower()).removeprefix("weights")
