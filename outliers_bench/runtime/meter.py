"""Costs of a run: wall time per stage, peak memory, sizes."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(eq=False)
class Costs:
    """Costs of a run.

    Parameters
    ----------
    dimensions : int
        Length of the vectors that were searched.
    features_computed, features_reused : int
        Images embedded by this run, and images whose features came from the store; summed over
        views and ensemble members.
    images_per_second : float or None
        Rate from decoding to the stored feature, over the images actually computed for this
        feature space, by this run or by the earlier one that filled the store; None if unknown.
    search_ms_per_query : float
        Wall time of the index search, in milliseconds per query.
    index_bytes : int
        Size of the index in memory.
    peak_memory_bytes : int
        Peak resident memory of the process during this run.
    seconds : dict of str to float
        Wall time per stage: load, audit, embed or detect, fit, index, search, evaluate; `decode`
        is the time spent decoding, summed over threads, and part of `embed` or `detect`.
    index_build_seconds : float or None
        Wall time of building the index, by this run or by the earlier one that cached it.
    recall_at_10 : float or None
        Fraction of the ten nearest neighbors of an exact search that the index finds; None if the
        search is exhaustive or there is no index.
    counts : dict of str to float
        Values that only some methods record, such as `images_without_keypoints`.
    """

    dimensions: int = 0
    features_computed: int = 0
    features_reused: int = 0
    images_per_second: float | None = None
    search_ms_per_query: float = 0.0
    index_bytes: int = 0
    peak_memory_bytes: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    index_build_seconds: float | None = None
    recall_at_10: float | None = None
    counts: dict[str, float] = field(default_factory=dict)


class Meter(Costs):
    """Accumulator of the costs of a run in progress."""

    @classmethod
    def start(cls) -> Meter:
        """Return a new meter and reset the peak memory of the process."""
        _reset_peak_memory()
        return cls()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the wall time of a `with` block to a stage."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.add(name, time.perf_counter() - start)

    def add(self, stage: str, seconds: float) -> None:
        """Add seconds to a stage."""
        self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds

    def absorb(self, part: Meter) -> None:
        """Add the costs of a part of the run, and reset the meter of the part.

        Every photo goes through every part, so that times per photo are summed. The recall is the
        lowest of the parts.
        """
        for stage, seconds in part.seconds.items():
            self.add(stage, seconds)
        self.dimensions += part.dimensions
        if part.features_computed or part.features_reused:
            first = not (self.features_computed or self.features_reused)
            rates = [part.images_per_second, *([] if first else [self.images_per_second])]
            known = [rate for rate in rates if rate]
            all_known = len(known) == len(rates)
            self.images_per_second = 1 / sum(1 / rate for rate in known) if all_known else None
            self.features_computed += part.features_computed
            self.features_reused += part.features_reused
        self.index_bytes += part.index_bytes
        if part.index_build_seconds is not None:
            self.index_build_seconds = (self.index_build_seconds or 0) + part.index_build_seconds
        recalls = [r for r in (self.recall_at_10, part.recall_at_10) if r is not None]
        self.recall_at_10 = min(recalls, default=None)
        for name, count in part.counts.items():
            self.counts[name] = max(self.counts.get(name, 0), count)  # the photos are the same
        vars(part).update(vars(Meter()))

    def costs(self, n_query: int) -> Costs:
        """Return the costs so far, for a run with `n_query` queries."""
        costs = Costs(**deepcopy(vars(self)))
        costs.search_ms_per_query = 1000 * self.seconds.get("search", 0.0) / n_query
        costs.peak_memory_bytes = peak_memory()
        return costs


def peak_memory() -> int:
    """Return the peak resident memory of this process in bytes; on Linux since `Meter.start`."""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _reset_peak_memory() -> None:
    # The jobs of a sweep share a process; without this, a job would report the peak of an earlier
    # one, as it does where this is not allowed, or not on Linux.
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
