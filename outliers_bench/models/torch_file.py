"""Reader of PyTorch files of plain tensors, without PyTorch and without running their code."""

from __future__ import annotations

import math
import pickle
import struct
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

from outliers_bench.errors import BenchError

# The format of torch.save before PyTorch 1.6: five pickles, then the storages' bytes.
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_PROTOCOL = 1001
STORAGES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "<i1",
    "ByteStorage": "<u1",
}


class _Storage(NamedTuple):
    dtype: str
    key: str
    size: int


class _Tensor(NamedTuple):
    """Arguments of `torch._utils._rebuild_tensor_v2`, used once the bytes are read."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read_tensors(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Read a state dict written by `torch.save` in its format before PyTorch 1.6.

    Parameters
    ----------
    path : Path
        A `.pth` file.

    Returns
    -------
    dict of str to array
        Copies of the tensors by name, in the file's order.

    Raises
    ------
    BenchError
        If the file is damaged, is not a PyTorch file, or contains anything but tensors.
    """
    try:
        with path.open("rb") as file:
            return _read(file)
    except Exception as error:  # of a damaged file: pickle and NumPy raise almost any
        raise BenchError(f"{path}: not a PyTorch file of plain tensors ({error})") from error


def _read(file: BinaryIO) -> dict[str, npt.NDArray[Any]]:
    magic, protocol, _system, tensors, keys = (_Unpickler(file).load() for _ in range(5))
    if (magic, protocol) != (LEGACY_MAGIC, LEGACY_PROTOCOL):
        raise ValueError("not in the format of torch.save before PyTorch 1.6")
    storages = {tensor.storage.key: tensor.storage for tensor in tensors.values()}
    data = {key: _read_storage(file, storages[key]) for key in keys}
    return {str(name): _to_array(tensor, data) for name, tensor in tensors.items()}


class _Unpickler(pickle.Unpickler):
    """Unpickler that allows ordered dictionaries, tensors and their storages only."""

    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401
        """Return the substitute of a global; an unknown one is refused before it is looked up."""
        if module == "torch" and name in STORAGES:
            return STORAGES[name]
        allowed: dict[tuple[str, str], Callable[..., Any]] = {
            ("collections", "OrderedDict"): OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2"): lambda *given: _Tensor(*given[:4]),
        }
        if (module, name) not in allowed:
            raise ValueError(f"it has {module}.{name}; only plain tensors are supported")
        return allowed[module, name]

    def persistent_load(self, pid: Any) -> _Storage:  # noqa: ANN401
        """Return the description of a storage, whose bytes follow the pickles."""
        kind, dtype, key, _device, size, view = pid
        if kind != "storage" or dtype not in STORAGES.values() or view is not None:
            raise ValueError(f"unknown storage {pid}")
        return _Storage(dtype, str(key), int(size))


def _read_storage(file: BinaryIO, storage: _Storage) -> npt.NDArray[Any]:
    (size,) = struct.unpack("<q", file.read(8))
    if size != storage.size:
        raise ValueError(f"storage {storage.key} has {size} elements instead of {storage.size}")
    dtype = np.dtype(storage.dtype)
    # frombuffer raises if bytes are missing; read never returns more than the file has.
    return np.frombuffer(file.read(size * dtype.itemsize), dtype=dtype, count=size)


def _to_array(tensor: _Tensor, data: dict[str, npt.NDArray[Any]]) -> npt.NDArray[Any]:
    flat = data[tensor.storage.key]
    # With stride 0, a few bytes could expand to any amount of memory.
    if math.prod(tensor.shape) > flat.size:
        raise ValueError("a tensor larger than its storage")
    # NumPy takes a size of -1 for all that is left, and its own check of strides can overflow.
    if min((0, *tensor.shape, *tensor.strides)) < 0:
        raise ValueError("a negative size or stride")
    steps = zip(tensor.shape, tensor.strides, strict=True)
    last = tensor.offset + sum((size - 1) * stride for size, stride in steps)
    if last >= flat.size and 0 not in tensor.shape:
        raise ValueError("a tensor that reaches beyond its storage")
    strides = tuple(stride * flat.itemsize for stride in tensor.strides)
    view = np.ndarray(tensor.shape, flat.dtype, flat, tensor.offset * flat.itemsize, strides)
    return view.copy()
