"""Weight files of Keras, read as plain data: the arrays of each layer."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from outliers_bench.errors import BenchError

SUFFIXES = (".h5", ".keras")
ARCHIVED_WEIGHTS = "model.weights.h5"


@dataclass(frozen=True)
class StoredLayer:
    """Arrays of one layer in a file."""

    name: str  # its path in a Keras 3 file (`conv2d_3`), or its name in an older file
    arrays: list[Any]  # of h5py.Dataset, in the order in which Keras saves them; read lazily

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """Shapes of the arrays."""
        return [tuple(array.shape) for array in self.arrays]


@dataclass(frozen=True)
class WeightFile:
    """Layers with weights in a file.

    If `ordered`, they are in the network's order (files up to Keras 2). Otherwise they are matched
    by name (Keras 3, which numbers the layers of each class).
    """

    layers: list[StoredLayer]
    ordered: bool


@contextmanager
def open_weights(path: Path) -> Iterator[WeightFile]:
    """Open a weight file in any of Keras' formats, recognized by content.

    Supports `.weights.h5` (Keras 3), `.h5` weights as in Keras' own releases, whole models in
    `.h5`, and whole models in `.keras`. Configurations in them, which can contain code, are not
    read.

    Raises
    ------
    BenchError
        If the file is damaged, is not a weight file, or refers to arrays in other files.
    """
    import h5py

    try:
        with _open_hdf5(path) as source, h5py.File(source, "r") as file:
            yield _read_layers(file, path)
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise BenchError(
            f"{path}: cannot be read as Keras weights ({' '.join(str(error).split())}); "
            "the file is damaged, or is not a weight file"
        ) from error


@contextmanager
def _open_hdf5(path: Path) -> Iterator[Any]:
    if not zipfile.is_zipfile(path):
        yield path
        return
    with zipfile.ZipFile(path) as archive:
        entry = archive.getinfo(ARCHIVED_WEIGHTS)
        if entry.file_size > path.stat().st_size:
            # Keras stores it uncompressed, so a larger one may be a decompression bomb.
            raise BenchError(
                f"{path}: {ARCHIVED_WEIGHTS} in it is compressed, which is not allowed"
            )
        yield io.BytesIO(archive.read(entry))


def _read_layers(file: Any, path: Path) -> WeightFile:  # noqa: ANN401 - h5py.File
    datasets: dict[str, Any] = {}

    def collect(name: str, node: Any) -> None:  # noqa: ANN401
        if hasattr(node, "shape"):
            if node.external or node.is_virtual:
                raise BenchError(
                    f"{path}: the array {name} is in another file, which is not allowed"
                )
            datasets[name] = node

    # Visits hard links only, because a soft or external link could lead out of the file.
    file.visititems(collect)
    prefix = "model_weights/" if "model_weights" in file else ""
    root = file["model_weights"] if prefix else file
    names = _read_strings(root, "layer_names")
    if names:
        layers = []
        for name in names:
            weights = _read_strings(root[name], "weight_names")
            arrays = [datasets[f"{prefix}{name}/{weight}"] for weight in weights]
            layers += [StoredLayer(name, arrays)] if arrays else []
        return WeightFile(layers, ordered=True)
    if any(name.startswith("layers/") for name in datasets):
        return WeightFile(_keras3_layers(datasets), ordered=False)
    raise BenchError(f"{path}: contains no layers; give weights or a model saved by Keras")


def _read_strings(group: Any, name: str) -> list[str]:  # noqa: ANN401 - h5py.Group
    """Return a list of strings; HDF5 files store a long one as `name0`, `name1`, ..."""
    pieces = [name] if name in group.attrs else []
    while f"{name}{len(pieces)}" in group.attrs:
        pieces.append(f"{name}{len(pieces)}")
    values = [value for piece in pieces for value in group.attrs[piece]]
    return [value.decode() if isinstance(value, bytes) else str(value) for value in values]


def _keras3_layers(datasets: dict[str, Any]) -> list[StoredLayer]:
    layers: dict[str, dict[int, Any]] = {}
    for path, dataset in datasets.items():
        owner, _, index = path.rpartition("/vars/")
        # Files also contain the states of the optimizer and metrics, and dropout's seeds.
        is_layer = owner.startswith("layers/") and not owner.endswith("/seed_generator")
        if is_layer and index.isdigit():
            layers.setdefault(owner, {})[int(index)] = dataset
    # `layers/functional/layers/conv2d`, of a backbone within a model, is `conv2d`.
    return [
        StoredLayer(
            owner.removeprefix("layers/").removeprefix("functional/layers/"),
            [arrays[at] for at in sorted(arrays)],
        )
        for owner, arrays in layers.items()
    ]
