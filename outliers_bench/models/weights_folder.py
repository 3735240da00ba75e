"""A folder of ImageNet weights, and which file in it is a network's, by its name."""

from __future__ import annotations

import re
from pathlib import Path

from outliers_bench.errors import BenchError
from outliers_bench.models.applications import MODULES
from outliers_bench.models.weight_files import SUFFIXES

# What may follow a network's name: the words of Keras' download names, width 1.0, sizes in pixels.
# Any other word may mean other weights (21k, noisy student), of another data set or of a network
# that is built otherwise (th for Theano, minimalistic, width 0.5).
_KNOWN_WORDS = re.compile(
    r"(weights|tf|dim|ordering|kernels|float|notop(v2)?|10|96|128|160|192|224)*", re.ASCII
)

_NETWORKS = [name.lower() for names in MODULES.values() for name in names]


def check_folder(folder: Path) -> None:
    """Raise `BenchError` if a folder of weights is not there or cannot be read."""
    try:
        next(folder.expanduser().iterdir(), None)
    except OSError as error:
        raise BenchError(
            f"weights_dir={folder}: no folder that can be read ({error.strerror}); give the folder "
            "with the files of ImageNet weights, or leave it out (OUTLIERS_BENCH_WEIGHTS as well) "
            "to have Keras download them"
        ) from error


def imagenet_file(folder: Path, keras: str, *, image_size: int) -> Path | None:
    """The file of a network's ImageNet weights in a folder, or None.

    Files are known by the names under which Keras downloads them and the like, such as
    `vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5` or `mobilenet_1.0_224_notop.weights.h5`: the
    file belongs to the longest class name it begins with, so MobileNetV2's is not MobileNet's. One
    without a classification top goes first, then the image size or else 224. Files with other words
    in their names are ignored: nobody knows what is in them.

    Parameters
    ----------
    folder : Path
        Not looked into any deeper.
    keras : str
        Class name in keras.applications, such as "VGG16".
    image_size : int
        Side in pixels of the network's input: MobileNet has weights of its own for some.
    """
    own = [
        file for file in sorted(folder.expanduser().iterdir()) if _network_of(file) == keras.lower()
    ]

    def misfit(file: Path) -> tuple[bool, int]:
        numbers = re.findall(r"\d+", file.name)
        sizes = [str(image_size), "224"]
        fitting = (place for place, size in enumerate(sizes) if size in numbers)
        return "notop" not in _letters(file.name), next(fitting, len(sizes))

    return min(own, key=misfit, default=None)


def _network_of(file: Path) -> str | None:
    """The class name, in lower case, of the network that a file is of; None if of none."""
    if file.suffix not in SUFFIXES or not file.is_file():
        return None
    name = _letters(file.stem.removesuffix(".weights")).removeprefix("weights")
    begins = (network for network in _NETWORKS if name.startswith(network))
    owner = max(begins, key=len, default=None)
    if owner is None or not _KNOWN_WORDS.fullmatch(name.removeprefix(owner)):
        return None
    return owner


def _letters(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
