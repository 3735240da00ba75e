"""`engine.batch_size=auto`: how many images a request is fastest, measured and kept."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache as memoised
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from outliers_bench.features.engine import Precision
from outliers_bench.features.openvino_running import OpenVinoRunner, compiled
from outliers_bench.machine import cores

CANDIDATES = (1, 2, 4, 8, 16)
CLEARLY = 1.03  # a larger batch must be that many times as fast: machines are noisy
ROUNDS = 3
ROUND_SECONDS = 0.12
FEW = 64  # images for which nothing is measured
SHARE = 0.05  # of the time that the images will take
SPARE = 0.25  # of the time that a conversion has taken just before
LARGEST = 16 * 512 * 512  # pixels in a request; the network's maps are many times as large
KEPT = "batch.json"


def tuned(model: Path, size: int, precision: Precision, images: int, *, spare: float) -> Any:  # noqa: ANN401
    """A kept model, compiled for the batch size that is fastest on this machine.

    Measured once for a model, processor, number of cores and version of OpenVINO, and from then
    on read from beside the model, so that a run that was broken off goes on with the same. With
    few images nothing is measured, nor kept, and each is a request of its own.

    Each candidate is timed in turns with the best so far, and is better if the median of their
    ratios says so clearly. A candidate whose vectors depend on the other images in the request,
    or on the place in it, is out.

    Parameters
    ----------
    model : Path
        The .xml file of a kept model.
    size : int
        Side of its images in pixels.
    precision : Precision
        See `compiled`.
    images : int
        How many are to be embedded.
    spare : float
        Seconds that the measuring may take even if the images take less time.

    Returns
    -------
    OpenVinoRunner
        Ready to embed.
    """
    here, kept = _here(precision), model.with_name(KEPT)
    known = _read(kept)
    if here in known:
        return OpenVinoRunner(compiled(model, int(known[here]["batch"]), precision))
    best = OpenVinoRunner(compiled(model, CANDIDATES[0], precision))
    if images < FEW:
        return best
    start = time.perf_counter()
    rate = _Timed(best, size).rate()
    allowed = max(spare, SHARE * images / rate)
    best, measured = _fastest(
        best,
        lambda batch: OpenVinoRunner(compiled(model, batch, precision)),
        size,
        until=start + allowed,
    )
    record = {"batch": best.batch, "images_per_second": measured}
    _write(kept, {**_read(kept), here: record})
    return best


def _fastest(
    best: OpenVinoRunner, make: Callable[[int], OpenVinoRunner], size: int, *, until: float
) -> tuple[OpenVinoRunner, dict[int, float]]:
    """The best of the candidates that there is time for, and the rates that were seen."""
    champion = _Timed(best, size)
    measured = {best.batch: champion.rate()}
    worse = 0
    for batch in CANDIDATES[1:]:
        # The challenger's rounds take as long as the champion's, or one full queue of requests.
        round_seconds = max(ROUND_SECONDS, batch * len(best) / measured[champion.batch])
        if batch * size**2 > LARGEST:
            break
        if time.perf_counter() + (ROUNDS + 1) * 2 * round_seconds > until:
            break
        challenger = _Timed(make(batch), size)
        if not challenger.independent():
            continue
        pairs = [(champion.rate(), challenger.rate()) for _ in range(ROUNDS)]
        measured[batch] = median(rate for _, rate in pairs)
        if median(theirs / ours for ours, theirs in pairs) > CLEARLY:
            champion, worse = challenger, 0
        else:
            worse += 1
            if worse == 2:  # beyond a size that suits the caches it only gets slower
                break
    return champion.runner, {batch: round(rate, 2) for batch, rate in measured.items()}


class _Timed:
    """A compiled network on noise, with which it is as fast as with photos."""

    def __init__(self, runner: OpenVinoRunner, size: int) -> None:
        self.runner = runner
        self.batch = runner.batch
        rng = np.random.default_rng(0)
        # Two different ones are enough to see whether neighbours matter.
        self._images = rng.integers(0, 256, (2, size, size, 3), dtype=np.uint8)
        self._rate: float | None = None

    def rate(self) -> float:
        """Images a second in a round of about `ROUND_SECONDS`, all requests in flight."""
        if self._rate is None:
            self._timed(1)  # the first requests take memory
        full = self.batch * len(self.runner)
        rounds = max(1, round((self._rate or 0.0) * ROUND_SECONDS / full))
        self._rate = self._timed(rounds)
        return self._rate

    def _timed(self, rounds: int) -> float:
        count = rounds * self.batch * len(self.runner)
        start = time.perf_counter()
        for _ in self.runner((b"", self._images[0]) for _ in range(count)):
            pass
        return count / (time.perf_counter() - start)

    def independent(self) -> bool:
        """Whether an image has the same vector, to the last bit, at each place of the batch."""
        one, other = self._images
        alike = [(b"one", one)] * self.batch
        mixed = [(b"other", other), (b"one", one)] * self.batch
        stream = [*alike, *mixed[: self.batch]]
        found = {vector.tobytes() for key, vector in self.runner(stream) if key == b"one"}
        return len(found) == 1


def _here(precision: Precision) -> str:
    """What the fastest batch size depends on, beside the model."""
    return " | ".join(
        (_processor(), f"{cores()} cores", f"openvino {version('openvino')}", precision.value)
    )


@memoised
def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _read(kept: Path) -> dict[str, Any]:
    # What cannot be read is measured again.
    with suppress(OSError, ValueError):
        found = json.loads(kept.read_text())
        return found if isinstance(found, dict) else {}
    return {}


def _write(kept: Path, found: dict[str, Any]) -> None:
    with suppress(OSError):  # without it the next run measures again
        aside = kept.with_suffix(f".{os.getpid()}")
        aside.write_text(json.dumps(found, indent=2) + "\n")
        aside.replace(kept)
