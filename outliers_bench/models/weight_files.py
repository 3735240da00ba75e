"""Files of network weights, read as data: which array belongs to which layer."""

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
    """One layer's arrays in a file.

    Parameters
    ----------
    name : str
        The layer's path in a Keras 3 file (`conv2d_3`), its name in an older one.
    arrays : list of h5py.Dataset
        In the order Keras saves them; nothing is read before it is asked for.
    """

    name: str
    arrays: list[Any]

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """Shapes of the arrays."""
        return [tuple(array.shape) for array in self.arrays]


@dataclass(frozen=True)
class WeightFile:
    """The layers of a file that have weights.

    Parameters
    ----------
    layers : list of StoredLayer
        In the network's order where `ordered`, in no particular order otherwise.
    ordered : bool
        Whether layers are found by their place (files up to Keras 2) rather than by their name
        (Keras 3, which numbers the layers of each class).
    """

    layers: list[StoredLayer]
    ordered: bool


@contextmanager
def open_weights(path: Path) -> Iterator[WeightFile]:
    """Open a file of weights in any of Keras' formats, told apart by content.

    Understood are `.weights.h5` (Keras 3), `.h5` weights as in Keras' own releases, whole models
    in `.h5`, and whole models in `.keras`. Configurations in them, which can hold code, are not
    looked at.

    Raises
    ------
    BenchError
        If the file is damaged, or something else, or its arrays lie in other files.
    """
    import h5py

    try:
        with _open_hdf5(path) as source, h5py.File(source, "r") as file:
            yield _read_layers(file, path)
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise BenchError(
            f"{path}: cannot be read as Keras weights ({' '.join(str(error).split())}); "
            "is it damaged, or something else?"
        ) from error


@contextmanager
def _open_hdf5(path: Path) -> Iterator[Any]:
    if not zipfile.is_zipfile(path):
        yield path
        return
    with zipfile.ZipFile(path) as archive:
        entry = archive.getinfo(ARCHIVED_WEIGHTS)
        if entry.file_size > path.stat().st_size:
            # Keras stores it uncompressed, so a larger one is a decompression bomb.
            raise BenchError(f"{path}: {ARCHIVED_WEIGHTS} in it is compressed; refused")
        yield io.BytesIO(archive.read(entry))


def _read_layers(file: Any, path: Path) -> WeightFile:  # noqa: ANN401 - h5py.File
    datasets: dict[str, Any] = {}

    def collect(name: str, node: Any) -> None:  # noqa: ANN401
        if hasattr(node, "shape"):
            if node.external or node.is_virtual:
                raise BenchError(f"{path}: the array {name} lies in another file; refused")
            datasets[name] = node

    # Visits hard links only: a soft or external one could lead out of the file.
    file.visititems(collect)
    prefix = "model_weights/" if "model_weights" in file else ""
    root = file["model_weights"] if prefix else file
    names = _read_strings(root, "layer_names")
    if names:
        layers = [
            StoredLayer(
                name,
                [
                    datasets[f"{prefix}{name}/{weight}"]
                    for weight in _read_strings(root[name], "weight_names")
                ],
            )
            for name in names
        ]
        return WeightFile([layer for layer in layers if layer.arrays], ordered=True)
    if any(name.startswith("layers/") for name in datasets):
        return WeightFile(_keras3_layers(datasets), ordered=False)
    raise BenchError(f"{path}: no layers in it; give weights or a model that Keras saved")


def _read_strings(group: Any, name: str) -> list[str]:  # noqa: ANN401 - h5py.Group
    """A list of strings; a long one is kept in pieces `name0`, `name1`, ..."""
    pieces = [name] if name in group.attrs else []
    while f"{name}{len(pieces)}" in group.attrs:
        pieces.append(f"{name}{len(pieces)}")
    values = [value for piece in pieces for value in group.attrs[piece]]
    return [value.decode() if isinstance(value, bytes) else str(value) for value in values]


def _keras3_layers(datasets: dict[str, Any]) -> list[StoredLayer]:
    found: dict[str, dict[int, Any]] = {}
    for path, dataset in datasets.items():
        owner, _, place = path.rpartition("/vars/")
        # Besides layers there are the optimizer's and the metrics' states, and dropout's seeds.
        ours = owner.startswith("layers/") and not owner.endswith("/seed_generator")
        if ours and place.isdigit():
            found.setdefault(owner, {})[int(place)] = dataset
    return [
        StoredLayer(_strip_wrapper(owner), [arrays[at] for at in sorted(arrays)])
        for owner, arrays in found.items()
    ]


def _strip_wrapper(owner: str) -> str:
    """`layers/functional/layers/conv2d`, of a backbone within a model, to `conv2d`."""
    return owner.removeprefix("layers/").removeprefix("functional/layers/")
