"""Cached detection of TensorFlow's GPUs, which costs importing TensorFlow."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from outliers_bench.engines.tensorflow import import_tensorflow
from outliers_bench.store.memo import load_or_make

_DEVICES = ("/dev/nvidiactl", "/dev/nvidia0", "/dev/dxg", "/dev/kfd")  # NVIDIA, WSL, AMD
_DRIVERS = ("/proc/driver/nvidia/version", "/sys/module/amdgpu/version")
_VISIBLE_DEVICES = ("CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES")
_BFLOAT16 = (8, 0)  # lowest compute capability with bfloat16 in hardware


@dataclass(frozen=True)
class Gpu:
    """GPUs visible to TensorFlow."""

    found: bool = False  # whether there is at least one
    bfloat16: bool = False  # whether all support it (NVIDIA compute capability 8 or more)


def detect_gpu(cache: Path | None = None) -> Gpu:
    """Detect the GPUs visible to TensorFlow.

    TensorFlow is imported only if the system has a GPU device and `cache` has no result for this
    system, driver and TensorFlow.
    """
    if not any(Path(device).exists() for device in _DEVICES):
        return Gpu()
    if cache is None:
        return _query_tensorflow()
    return load_or_make(
        cache / "machine" / f"gpu-{system_digest()}.json",
        read=lambda path: Gpu(**json.loads(path.read_text())),
        make=_query_tensorflow,
        write=lambda gpu, path: path.write_text(json.dumps(asdict(gpu))),
    )


def _query_tensorflow() -> Gpu:
    config = import_tensorflow().config
    devices = config.list_physical_devices("GPU")
    # Only NVIDIA devices have a compute capability.
    details = [config.experimental.get_device_details(device) for device in devices]
    bfloat16 = [detail.get("compute_capability", (0, 0)) >= _BFLOAT16 for detail in details]
    return Gpu(bool(devices), bool(bfloat16) and all(bfloat16))


def system_digest() -> str:
    """Return a digest of what GPU detection depends on: TensorFlow, libraries, driver, cards."""
    cards = Path("/proc/driver/nvidia/gpus")
    dependencies = [
        _installed_packages(),
        [device for device in _DEVICES if Path(device).exists()],
        [_text(Path(driver)) for driver in _DRIVERS],
        # The model of each card; the folder exists only with NVIDIA's driver.
        sorted(_text(card / "information") for card in cards.glob("*")),
        [os.environ.get(name) for name in _VISIBLE_DEVICES],
        [os.environ.get("LD_LIBRARY_PATH")],  # where CUDA may be found
    ]
    return hashlib.blake2b(json.dumps(dependencies).encode(), digest_size=8).hexdigest()


def _installed_packages() -> list[str]:
    """Return the names and versions of the installed packages of TensorFlow and CUDA."""
    # Read from folder names: this runs at every start, and importing the packages takes seconds.
    folders = {
        folder.name
        for entry in sys.path
        for pattern in ("tensorflow*", "tf_nightly*", "nvidia_*")
        for folder in Path(entry).glob(f"{pattern}.dist-info")
    }
    return sorted(folders)


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
