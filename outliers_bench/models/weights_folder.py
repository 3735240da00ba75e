"""Lookup of a network's ImageNet weights in a folder, by file name."""

from __future__ import annotations

import re
from pathlib import Path

from outliers_bench.data.image_files import absolute_path
from outliers_bench.errors import BenchError
from outliers_bench.models.applications import MODULES
from outliers_bench.models.weight_files import SUFFIXES

# Words allowed after a network's name: those of Keras' download names, width 1.0, sizes in pixels.
# Any other word may mean other weights (21k, noisy student), another data set, or a different
# network (th for Theano, minimalistic, width 0.5).
_KNOWN_WORDS = re.compile(
    r"(weights|tf|dim|ordering|kernels|float|notop(v2)?|10|96|128|160|192|224)*", re.ASCII
)

_NETWORKS = [name.lower() for names in MODULES.values() for name in names]


def check_folder(folder: str) -> None:
    """Raise `BenchError` if a folder of weights does not exist or cannot be read."""
    try:
        next(absolute_path(folder, "weights_dir").iterdir(), None)
    except OSError as error:
        raise BenchError(
            f"weights_dir={folder}: cannot read this folder ({error.strerror}); give the folder of "
            "the ImageNet weights, or set neither weights_dir nor OUTLIERS_BENCH_WEIGHTS and let "
            "Keras download them"
        ) from error


def imagenet_file(folder: Path, keras: str, *, image_size: int) -> Path | None:
    """Return the file of a network's ImageNet weights in a folder, or None.

    Files are recognized by names like those of Keras' downloads, such as
    `vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5` or `mobilenet_1.0_224_notop.weights.h5`. A
    file belongs to the longest class name that it starts with, so MobileNetV2's is not MobileNet's.
    Files without a classification top are preferred, then files of the image size, then of 224.
    Files with other words in their names are ignored, because they may be other weights. MobileNet
    has different weights for some sizes. Subfolders are not searched.
    """
    files = [file for file in sorted(folder.iterdir()) if _network_of(file) == keras.lower()]

    def preference(file: Path) -> tuple[bool, int]:
        numbers = re.findall(r"\d+", file.name)
        sizes = [str(image_size), "224"]
        positions = (position for position, size in enumerate(sizes) if size in numbers)
        return "notop" not in _letters(file.name), next(positions, len(sizes))

    return min(files, key=preference, default=None)


def _network_of(file: Path) -> str | None:
    """Return the lowercase class name of the network that a file belongs to, or None."""
    if file.suffix not in SUFFIXES or not file.is_file():
        return None
    name = _letters(file.stem.removesuffix(".weights")).removeprefix("weights")
    prefixes = (network for network in _NETWORKS if name.startswith(network))
    network = max(prefixes, key=len, default=None)
    if network is None or not _KNOWN_WORDS.fullmatch(name.removeprefix(network)):
        return None
    return network


def _letters(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
