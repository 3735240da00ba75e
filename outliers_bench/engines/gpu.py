"""Whether TensorFlow has a GPU here, asked once: the answer costs TensorFlow's import."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from outliers_bench.engines.tensorflow import import_tensorflow

_DEVICES = ("/dev/nvidiactl", "/dev/nvidia0", "/dev/dxg", "/dev/kfd")  # NVIDIA, WSL, AMD
_DRIVERS = ("/proc/driver/nvidia/version", "/sys/module/amdgpu/version")
_CHOSEN = ("CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES")
_BFLOAT16 = (8, 0)  # compute capability from which bfloat16 is computed by the hardware


@dataclass(frozen=True)
class Gpu:
    """What TensorFlow says of the GPUs that it sees.

    Parameters
    ----------
    found : bool
        Whether there is one.
    bfloat16 : bool
        Whether all of them compute with bfloat16 (NVIDIA's compute capability 8 or more).
    """

    found: bool = False
    bfloat16: bool = False


def detect_gpu(cache: Path | None = None) -> Gpu:
    """The GPUs that TensorFlow sees.

    TensorFlow is imported only where the system has a device for one, and no answer is kept.

    Parameters
    ----------
    cache : Path or None
        Directory that keeps the answer, for this system, driver and TensorFlow; None asks anew.
    """
    if not any(Path(device).exists() for device in _DEVICES):
        return Gpu()
    kept = None if cache is None else cache / "machine" / f"gpu-{system_digest()}.json"
    if kept is not None:
        with suppress(OSError, ValueError, TypeError):
            return Gpu(**json.loads(kept.read_text()))
    found = _query_tensorflow()
    if kept is not None:
        with suppress(OSError):  # to ask again costs time, and nothing else
            kept.parent.mkdir(parents=True, exist_ok=True)
            aside = kept.with_suffix(f".{os.getpid()}")
            aside.write_text(json.dumps(asdict(found)))
            aside.replace(kept)
    return found


def _query_tensorflow() -> Gpu:
    config = import_tensorflow().config
    devices = config.list_physical_devices("GPU")
    # What is no NVIDIA device has no compute capability.
    details = [config.experimental.get_device_details(device) for device in devices]
    able = [detail.get("compute_capability", (0, 0)) >= _BFLOAT16 for detail in details]
    return Gpu(bool(devices), bool(able) and all(able))


def system_digest() -> str:
    """A digest of all that may change the answer: TensorFlow, libraries, driver, cards."""
    cards = Path("/proc/driver/nvidia/gpus")
    said = [
        _installed(),
        [device for device in _DEVICES if Path(device).exists()],
        [_text(Path(driver)) for driver in _DRIVERS],
        # The model of each card; the folder is not there without NVIDIA's driver.
        sorted(_text(card / "information") for card in cards.glob("*")),
        [os.environ.get(name) for name in _CHOSEN],
        [os.environ.get("LD_LIBRARY_PATH")],  # where CUDA may be found
    ]
    return hashlib.blake2b(json.dumps(said).encode(), digest_size=8).hexdigest()


def _installed() -> list[str]:
    """Names and versions of what is installed of TensorFlow, whatever it is called, and of CUDA."""
    # From the names of the folders: this is read on each start, and to import them takes seconds.
    found = {
        folder.name
        for place in sys.path
        for kind in ("tensorflow*", "tf_nightly*", "nvidia_*")
        for folder in Path(place).glob(f"{kind}.dist-info")
    }
    return sorted(found)


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
