from __future__ import annotations

import os
import pickle
import struct
import sys
import types
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from outliers_bench.errors import BenchError
from outliers_bench.models.torch_file import LEGACY_MAGIC, LEGACY_PROTOCOL, read_tensors

NUMBERS = np.arange(6, dtype="<f4")


class Storage:
    def __init__(self, size: int) -> None:
        self.size = size


class Tensor:
    def __init__(self, size: int, offset: int, shape: tuple, strides: tuple) -> None:
        self.arguments = (Storage(size), offset, shape, strides, False, OrderedDict())

    def __reduce__(self) -> tuple:
        return sys.modules["torch._utils"]._rebuild_tensor_v2, self.arguments


class Pickler(pickle.Pickler):
    def persistent_id(self, obj: object) -> tuple | None:
        if isinstance(obj, Storage):
            return ("storage", sys.modules["torch"].FloatStorage, "0", "cpu", obj.size, None)
        return None


@pytest.fixture
def save(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Writer of files like torch.save before PyTorch 1.6, with one storage of six floats."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    torch.FloatStorage = type("FloatStorage", (), {"__module__": "torch"})

    def rebuild(*arguments: object) -> None:
        raise NotImplementedError

    rebuild.__module__, rebuild.__qualname__ = "torch._utils", "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2 = rebuild
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch._utils", utils)

    def write(tensors: object, *, size: int = 6, magic: int = LEGACY_MAGIC) -> Path:
        path = tmp_path / "file.pth"
        with path.open("wb") as file:
            for part in (magic, LEGACY_PROTOCOL, {"little_endian": True}, tensors, ["0"]):
                Pickler(file, protocol=2).dump(part)
            file.write(struct.pack("<q", size) + NUMBERS.tobytes())
        return path

    return write


def test_tensors_are_read(save: Any) -> None:
    tensors = OrderedDict(
        whole=Tensor(6, 0, (2, 3), (3, 1)),
        transposed=Tensor(6, 0, (3, 2), (1, 3)),
        part=Tensor(6, 4, (2,), (1,)),
        scalar=Tensor(6, 5, (), ()),
        empty=Tensor(6, 6, (0, 9), (9, 1)),
    )
    read = read_tensors(save(tensors))
    assert list(read) == list(tensors)
    np.testing.assert_array_equal(read["whole"], NUMBERS.reshape(2, 3))
    np.testing.assert_array_equal(read["transposed"], NUMBERS.reshape(2, 3).T)
    np.testing.assert_array_equal(read["part"], [4, 5])
    assert read["scalar"] == 5
    assert read["empty"].shape == (0, 9)


@pytest.mark.parametrize(
    "tensor",
    [
        Tensor(6, 1, (2, 3), (3, 1)),
        Tensor(6, 0, (2, 3), (4, 1)),
        Tensor(6, -1, (2,), (1,)),
        Tensor(6, 5, (2,), (-1,)),
        Tensor(6, 3, (-1,), (2,)),
        Tensor(6, 0, (5,), (2**60,)),
        Tensor(6, 0, (10**9, 10**9), (0, 0)),
        Tensor(7, 0, (2, 3), (3, 1)),
        Tensor(6, 0, (2, 3), (3,)),
    ],
    ids=["offset", "strides", "before", "backward", "rest", "wrap", "bomb", "other size", "none"],
)
def test_an_invalid_tensor_is_refused(save: Any, tensor: Tensor) -> None:
    with pytest.raises(BenchError, match=r"file\.pth: not a PyTorch file of plain tensors"):
        read_tensors(save({"weight": tensor}))


class Exploit:
    def __reduce__(self) -> tuple:
        return os.system, ("echo owned > owned",)


@pytest.mark.parametrize(
    "payload", [Exploit(), np.arange(3), bytearray(b"x")], ids=["system", "numpy", "builtin"]
)
def test_any_other_global_is_refused_and_not_run(
    save: Any, payload: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BenchError, match="only plain tensors are supported"):
        read_tensors(save({"weight": payload}))
    assert not Path("owned").exists()


def test_other_files_are_refused(save: Any, tmp_path: Path) -> None:
    empty, text = tmp_path / "empty.pth", tmp_path / "text.pth"
    empty.write_bytes(b"")
    text.write_text("<html>404</html>")
    valid = save({"weight": Tensor(6, 0, (2, 3), (3, 1))})
    truncated = tmp_path / "truncated.pth"
    truncated.write_bytes(valid.read_bytes()[:-4])
    for path in (empty, text, truncated, tmp_path / "missing.pth"):
        with pytest.raises(BenchError, match=path.name):
            read_tensors(path)
    for path in (save({}, magic=1), save(["a list"])):
        with pytest.raises(BenchError, match="not a PyTorch file"):
            read_tensors(path)
