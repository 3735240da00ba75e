"""Batch size measurements of a network by machine, cached in a JSON file."""

from __future__ import annotations

import json
import platform
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache as memoize
from pathlib import Path
from typing import Any

from outliers_bench.runtime.machine import cores
from outliers_bench.store.files import digest_of, write_atomically
from outliers_bench.store.memo import locked

_DIGEST = "digest"


@dataclass
class Measurements:
    """Batch size measurements of one network, in one precision, on one machine."""

    batch: int = 0  # the fastest; 0 if none has been measured
    images_per_second: dict[int, float] = field(default_factory=dict)  # by batch size
    # By batch size: `timing.vector_digest`, empty also if the batch does not fit into memory.
    digests: dict[int, str] = field(default_factory=dict)
    complete: bool = False  # whether nothing is left to measure
    seconds_allowed: float = 0.0  # of the last measurements


@dataclass(frozen=True)
class BatchSizeCache:
    """Measurements in a JSON file, under a key of this machine, engine and precision."""

    file: Path
    here: str

    def read(self) -> Measurements:
        """Return the stored measurements; empty if they cannot be read."""
        with suppress(KeyError, TypeError, ValueError, AttributeError):
            stored = self._read_file()[self.here]
            if stored.pop(_DIGEST, None) not in (None, digest_of(stored)):  # earlier: none
                return Measurements()
            by_batch = {
                name: {int(batch): value for batch, value in stored[name].items()}
                for name in ("images_per_second", "digests")
            }
            return Measurements(**{**stored, **by_batch})
        return Measurements()

    def write(self, measured: Measurements) -> None:
        """Store the measurements; if that fails, the next run measures again."""
        with suppress(OSError), locked(self.file), write_atomically(self.file) as temporary:
            own = json.loads(json.dumps(vars(measured)))  # names, as they will be read
            content = {**self._read_file(), self.here: {**own, _DIGEST: digest_of(own)}}
            temporary.write_text(json.dumps(content, indent=2) + "\n")

    def _read_file(self) -> dict[str, Any]:
        with suppress(OSError, ValueError):
            content = json.loads(self.file.read_text())
            return content if isinstance(content, dict) else {}
        return {}


def machine_label() -> str:
    """Return the processor's name and the number of cores available to this process."""
    return f"{_processor()} | {cores()} cores"


@memoize
def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
