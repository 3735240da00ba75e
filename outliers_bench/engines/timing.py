"""Throughput of a network by batch size, and a check of what its vectors depend on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from time import perf_counter
from typing import Generic, Protocol, TypeVar

import numpy as np

from outliers_bench.engines.protocols import Key
from outliers_bench.types import RGB, FloatArray

ROUNDS = 2  # the fastest counts, because any disturbance makes a round slower
ROUND_SECONDS = 0.1  # or one full queue of requests, whichever takes longer


class Runner(Protocol):
    """A network prepared for one batch size."""

    batch: int

    def __len__(self) -> int:
        """Return the maximum number of requests in flight."""
        ...

    def __call__(self, images: Iterable[tuple[Key, RGB]]) -> Iterator[tuple[Key, FloatArray]]:
        """Embed images; see `Embedder`."""
        ...


R = TypeVar("R", bound=Runner)


class TimedRunner(Generic[R]):
    """A runner with its setup time."""

    def __init__(self, make: Callable[[int], R], batch: int, size: int) -> None:
        self._start = perf_counter()
        self.runner = make(batch)
        self.batch = batch
        self._setup_seconds = perf_counter() - self._start
        self._image = _noise(size)[0]

    def warm(self) -> None:
        """Run one queue of requests, because the first ones allocate memory or compile."""
        start = perf_counter()
        self._measure_rate(self.batch * len(self.runner))
        self._setup_seconds += perf_counter() - start

    def mark_warm(self, *, since: float) -> None:
        """Mark the runner as warm, with a setup that began at `since`."""
        self._setup_seconds = perf_counter() - since

    def rate(self, known: float = 0.0) -> float:
        """Measure images per second with all requests in flight, for about one round."""
        # Four digits, so that the cached rate is the one used here.
        return float(f"{self._measure_rate(self._round_images(self.batch, known)):.4g}")

    def estimate_seconds(self, batch: int, rates: dict[int, float]) -> float:
        """Estimate how long it takes to set up another batch size and time both."""
        rate = rates[self.batch]
        timed = ROUNDS * (self._round_images(self.batch, rate) + self._round_images(batch, rate))
        return self._setup_seconds + (2 * batch + timed) / rate

    def _round_images(self, batch: int, rate: float) -> int:
        full = batch * len(self.runner)
        return full * max(1, round(rate * ROUND_SECONDS / full))

    def _measure_rate(self, count: int) -> float:
        start = perf_counter()
        for _ in self.runner((b"", self._image) for _ in range(count)):
            pass
        return count / max(perf_counter() - start, 1e-9)


def vector_digest(runner: Runner, size: int) -> str:
    """Return the digest of a test image's vector, to compare batch sizes to the last bit.

    Empty if the vector depends on the position in the batch or on the other images.
    """
    one, other = _noise(size)
    equal = [(b"one", one)] * runner.batch
    mixed = [(b"other", other), (b"one", one)] * runner.batch
    stream = [*equal, *mixed[: runner.batch]]
    vectors = {vector.tobytes() for key, vector in runner(stream) if key == b"one"}
    return hashlib.blake2b(*vectors, digest_size=8).hexdigest() if len(vectors) == 1 else ""


def _noise(size: int) -> list[RGB]:
    # Noise does as well as photos, because the values do not matter. Two images, because a vector
    # may depend on its neighbors.
    rng = np.random.default_rng(0)
    return list(rng.integers(0, 256, (2, size, size, 3), dtype=np.uint8))
