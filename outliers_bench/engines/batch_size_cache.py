"""What was found out about batch sizes on this machine, kept in a file of JSON."""

from __future__ import annotations

import json
import os
import platform
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache as memoised
from pathlib import Path
from typing import Any

from outliers_bench.runtime.machine import cores


@dataclass
class Measurements:
    """What is known of the batch sizes of one network, in one precision, on one machine.

    Parameters
    ----------
    batch : int
        The fastest; 0 before one was measured.
    images_per_second : dict of int to float
        By batch size, of those that were measured.
    sound : dict of int to bool
        By batch size: whether vectors depend on their own image alone, and it fits into memory.
    complete : bool
        Whether nothing is left to measure.
    seconds_allowed : float
        How long the measuring might have taken.
    """

    batch: int = 0
    images_per_second: dict[int, float] = field(default_factory=dict)
    sound: dict[int, bool] = field(default_factory=dict)
    complete: bool = False
    seconds_allowed: float = 0.0


class BatchSizeCache:
    """The `Measurements` of one network in one precision on this machine.

    Parameters
    ----------
    file : Path
        Where it is kept, beside what other machines have found.
    here : str
        What tells this machine, engine and precision from all others.
    """

    def __init__(self, file: Path, here: str) -> None:
        self._file = file
        self._here = here

    def read(self) -> Measurements:
        """What is known; what cannot be read is measured again."""
        with suppress(KeyError, TypeError, ValueError, AttributeError):
            said = self._all()[self._here]
            rates = {int(batch): float(rate) for batch, rate in said["images_per_second"].items()}
            return Measurements(
                batch=int(said["batch"]),
                images_per_second=rates,
                sound={int(batch): bool(sound) for batch, sound in said["sound"].items()},
                complete=bool(said["complete"]),
                seconds_allowed=float(said["seconds_allowed"]),
            )
        return Measurements()

    def write(self, found: Measurements) -> None:
        """Keep it; if that cannot be, the next run measures again."""
        with suppress(OSError):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            aside = self._file.with_suffix(f".{os.getpid()}")
            whole = {**self._all(), self._here: vars(found)}
            aside.write_text(json.dumps(whole, indent=2) + "\n")
            aside.replace(self._file)

    def _all(self) -> dict[str, Any]:
        with suppress(OSError, ValueError):
            found = json.loads(self._file.read_text())
            return found if isinstance(found, dict) else {}
        return {}


def machine_label() -> str:
    """The processor, and how many of its cores there are for us."""
    return f"{_processor()} | {cores()} cores"


@memoised
def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
