"""`data=silhouettes`: ten animals as 28x28 silhouettes, from the pip package animal-mnist."""

from __future__ import annotations

import gzip
import io
import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from outliers_bench.data.named.arrays import Block, image_set
from outliers_bench.data.source import LabeledSource
from outliers_bench.errors import BenchError
from outliers_bench.runtime.invocation import install_command
from outliers_bench.types import ImageSet, LeftOut

CLASSES = (
    *("bear", "bird", "cat", "cow", "dog"),
    *("elephant", "giraffe", "horse", "sheep", "zebra"),
)
_ALLOWED: dict[tuple[str, str], Any] = {
    # NumPy rebuilds arrays with these names; the module moved in NumPy 2.
    ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
    ("numpy._core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}


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
        return image_set([_read_block()], CLASSES, digits=4), ()


@cache
def _read_block() -> Block:
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
    return Block("", pixels, labels.astype(np.int64))


class _ArraysOnly(pickle.Unpickler):
    """Unpickler of NumPy arrays; a general pickle can run arbitrary code."""

    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it requires {module}.{name}") from None


def read_array(file: Path) -> npt.NDArray[Any]:
    """Read the one numeric array in a gzipped pickle.

    Raises
    ------
    BenchError
        If the file is missing, damaged, or contains anything other than an array of numbers.
    """
    try:
        with gzip.open(file) as stream:
            array = _ArraysOnly(io.BytesIO(stream.read())).load()
    except OSError as error:
        raise BenchError(f"{file} cannot be read: {error}") from None
    # A damaged pickle can fail in any of its operations.
    except Exception as error:
        raise BenchError(f"{file} is refused: it is not a pickled NumPy array ({error})") from None
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "biuf":
        raise BenchError(f"{file} is refused: it does not contain an array of numbers")
    return array
