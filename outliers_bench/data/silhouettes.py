"""`data=silhouettes`: ten animals as 28x28 silhouettes, from the pip package animal-mnist."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from outliers_bench.data.array_pickle import read_array
from outliers_bench.data.content_hash import content_hash
from outliers_bench.data.source import LabeledSource
from outliers_bench.errors import BenchError
from outliers_bench.runtime.invocation import install_command
from outliers_bench.types import RGB, ImageSet, IntArray, LeftOut

CLASSES = (
    "bear",
    "bird",
    "cat",
    "cow",
    "dog",
    "elephant",
    "giraffe",
    "horse",
    "sheep",
    "zebra",
)


@dataclass
class Silhouettes(LabeledSource):
    """White animals on black, about a thousand per class, without 284 exact duplicates."""

    def default_name(self) -> str:
        """See `DataSource.default_name`."""
        return "silhouettes"

    def collect(
        self,
        cache: Path,  # noqa: ARG002 - the images are in the package
    ) -> tuple[ImageSet, Sequence[LeftOut]]:
        """Read the images and labels; see `LabeledSource.collect`."""
        pixels, labels = _arrays()
        images = ImageSet(
            names=tuple(f"{CLASSES[label]}/{row:04d}" for row, label in enumerate(labels)),
            digests=tuple(content_hash(image.tobytes()).digest() for image in pixels),
            labels=labels,
            classes=CLASSES,
            reader=_ArrayReader(pixels),
        )
        return images, ()


@dataclass(frozen=True)
class _ArrayReader:
    """Reader of grayscale images in an array, named `<class>/<row>`."""

    pixels: RGB

    def read(self, name: str, digest: bytes | None = None, *, side: int | None = None) -> RGB:  # noqa: ARG002
        gray = self.pixels[int(name.rpartition("/")[2])]
        return np.repeat(gray[..., None], 3, axis=2)


@cache
def _arrays() -> tuple[RGB, IntArray]:
    # Located without importing it: its loader imports TensorFlow.
    spec = find_spec("animal_mnist")
    if spec is None or not spec.submodule_search_locations:
        raise BenchError(
            f"data=silhouettes needs the package animal-mnist: {install_command('demo')}"
        )
    folder = Path(spec.submodule_search_locations[0]) / "data" / "Animal_MNIST"
    pixels = read_array(folder / "animal_data_version_3.gz")
    labels = read_array(folder / "animal_label_version_3.gz")
    is_valid = pixels.dtype == np.uint8 and pixels.ndim == 3 and labels.shape == pixels.shape[:1]
    if not is_valid or labels.dtype.kind not in "iu":
        raise BenchError(
            f"{folder} contains {pixels.dtype} {pixels.shape} and {labels.dtype} {labels.shape}, "
            f"not images and their labels; install animal-mnist 0.4: {install_command('demo')}"
        )
    return pixels, labels.astype(np.int64)
