"""How fast a network is with a batch size, and whether its vectors are what they should be."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from time import perf_counter
from typing import Generic, Protocol, TypeVar

import numpy as np

from outliers_bench.engines.protocols import Key
from outliers_bench.types import RGB, FloatArray

TURNS = 2  # the better of which counts: whatever disturbs makes it slower
TURN_SECONDS = 0.1  # or one full queue of requests, whichever takes longer


class Runner(Protocol):
    """A network that is ready for one batch size."""

    batch: int

    def __len__(self) -> int:
        """How many requests are in flight at most."""
        ...

    def __call__(self, images: Iterable[tuple[Key, RGB]]) -> Iterator[tuple[Key, FloatArray]]:
        """Embed images; see `Embedder`."""
        ...


R = TypeVar("R", bound=Runner)


class TimedRunner(Generic[R]):
    """A runner, and how long it took to get it ready."""

    def __init__(self, make: Callable[[int], R], batch: int, size: int) -> None:
        self._start = perf_counter()
        self.runner = make(batch)
        self.batch = batch
        self._made = perf_counter() - self._start
        self._image = _noise(size)[0]

    def warm(self) -> None:
        """Run one queue of requests: the first ones take memory, or compile."""
        start = perf_counter()
        self._rate_of(self.batch * len(self.runner))
        self._made += perf_counter() - start

    def mark_warm(self, *, since: float) -> None:
        """Say that it has run before, and when that was begun."""
        self._made = perf_counter() - since

    def rate(self, known: float = 0.0) -> float:
        """Images a second, all requests in flight, for about one turn."""
        # Of four digits, so that what is kept is what was reckoned with.
        return float(f"{self._rate_of(self._turn(self.batch, known)):.4g}")

    def estimate_seconds(self, batch: int, rates: dict[int, float]) -> float:
        """About how long it takes to get another batch size ready, and to time both."""
        rate = rates[self.batch]
        timed = TURNS * (self._turn(self.batch, rate) + self._turn(batch, rate))
        return self._made + (2 * batch + timed) / rate

    def _turn(self, batch: int, rate: float) -> int:
        full = batch * len(self.runner)
        return full * max(1, round(rate * TURN_SECONDS / full))

    def _rate_of(self, count: int) -> float:
        start = perf_counter()
        for _ in self.runner((b"", self._image) for _ in range(count)):
            pass
        return count / max(perf_counter() - start, 1e-9)


def is_independent(runner: Runner, size: int) -> bool:
    """Whether an image has the same vector, to the last bit, at each place of the batch."""
    one, other = _noise(size)
    alike = [(b"one", one)] * runner.batch
    mixed = [(b"other", other), (b"one", one)] * runner.batch
    stream = [*alike, *mixed[: runner.batch]]
    found = {vector.tobytes() for key, vector in runner(stream) if key == b"one"}
    return len(found) == 1


def _noise(size: int) -> list[RGB]:
    # As good as photos: the numbers do not matter. Two, to see whether neighbors do.
    rng = np.random.default_rng(0)
    return list(rng.integers(0, 256, (2, size, size, 3), dtype=np.uint8))
