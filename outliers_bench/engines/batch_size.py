"""Embedder of `engine.batch_size=auto`: the fastest batch size, measured once and cached."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from operator import length_hint
from time import perf_counter
from typing import Generic, Literal

from outliers_bench.engines.batch_size_cache import BatchSizeCache, Measurements
from outliers_bench.engines.protocols import Key
from outliers_bench.engines.timing import ROUNDS, R, TimedRunner, vector_digest
from outliers_bench.errors import BenchError
from outliers_bench.types import RGB, FloatArray

_log = logging.getLogger(__name__)
MIN_SPEEDUP = 1.03  # required of a larger batch, because timings are noisy
MIN_IMAGES = 64  # nothing is measured for fewer images
TIME_SHARE = 0.05  # of the time it takes to embed the images
CONVERSION_SHARE = 0.25  # of the time that a conversion in this run took


@dataclass
class TunedEmbedder(Generic[R]):
    """Embedder that is made for a batch size, which is chosen when the image count is known.

    Parameters
    ----------
    make : callable
        Returns the runner for a batch size.
    size : int
        Side of the images in pixels.
    record : BatchSizeCache
        Measurements of earlier runs.
    candidates : sequence of int
        Batch sizes that `auto` may use, in ascending order.
    first : int
        The candidate to start from; if it is not sound, the next smaller one that is. Others are
        used only if they give the same vectors to the last bit, as the features of all are stored
        under one key.
    batch_size : int or "auto"
        The configured batch size.
    spare : float
        Seconds that measuring may take even if embedding the images takes less time.
    facts : dict of str to float
        What is known of the network. The batch size is added.
    """

    make: Callable[[int], R]
    size: int
    record: BatchSizeCache
    candidates: Sequence[int]
    first: int
    batch_size: int | Literal["auto"] = "auto"
    spare: float = 0.0
    facts: dict[str, float] = field(default_factory=dict)
    _runner: R | None = field(default=None, init=False)
    _measured: Measurements = field(default_factory=Measurements, init=False)
    _digest: str = field(default="", init=False)  # of the base, or empty while it is not known

    def __call__(self, images: Iterable[tuple[Key, RGB]]) -> Iterator[tuple[Key, FloatArray]]:
        """Embed images; see `Embedder`."""
        if self._runner is None:
            self._runner = (
                self.tune(length_hint(images))
                if self.batch_size == "auto"
                else self.check(self.batch_size)
            )
            self.facts["batch_size"] = self._runner.batch
        return self._runner(images)

    def check(self, batch: int) -> R:
        """Return the runner for a given batch size; warn if vectors depend on their neighbors."""
        runner = self.make(batch)
        measured = self.record.read()
        if batch > 1 and batch not in measured.digests:
            measured.digests[batch] = vector_digest(runner, self.size)
            self.record.write(measured)
        if not measured.digests.get(batch, "unknown"):
            _warn_dependent(batch)
        return runner

    def tune(self, images: int) -> R:
        """Return the runner with the fastest batch size found within the time allowed.

        Measurements are cached. They are final if nothing is left to measure, or if a run is
        allowed no more time than the one before; otherwise measuring continues from them. A run
        that resumes after an interruption uses the same batch size: it has no more images left
        than before, the allowance is computed from the cached rate, and the conversion is not
        repeated. With few images, nothing is measured or cached.
        """
        measured = self._measured = self.record.read()
        if images < MIN_IMAGES and not measured.batch:
            return self.make(self.first)
        # The same in every run, because batch sizes that are not sound are cached.
        descending = [batch for batch in reversed(self.candidates) if batch <= self.first]
        base = next((b for b in descending if measured.digests.get(b, "unknown")), descending[-1])
        known = measured.batch and base in measured.images_per_second
        self._digest = ""
        best = self._timed(measured.batch) if known else self._first_sound(descending)
        start = perf_counter()
        if not known:
            base, measured.batch = best.batch, 0
            measured.images_per_second[base] = best.rate()
        self._digest = measured.digests.get(base, "")
        allowed = max(self.spare, TIME_SHARE * images / measured.images_per_second[base])
        if known and (measured.complete or allowed <= measured.seconds_allowed):
            return best.runner
        if known:
            best.warm()
        best = self._climb(best, until=start + allowed)
        measured.batch, measured.seconds_allowed = best.batch, allowed
        self.record.write(measured)
        return best.runner

    def _timed(self, batch: int) -> TimedRunner[R]:
        return TimedRunner(self.make, batch, self.size)

    def _first_sound(self, descending: Sequence[int]) -> TimedRunner[R]:
        """Return a runner for the first sound batch size; if none is, warn and use the last."""
        for batch in descending:
            if (best := self._warm_if_sound(batch)) is not None:
                return best
        _warn_dependent(descending[-1])
        return self._timed(descending[-1])

    def _warm_if_sound(self, batch: int) -> TimedRunner[R] | None:
        """Return a warm runner, or None if it is not sound, which is tested if not known yet."""
        if not self._may_be_sound(batch):
            return None
        digests, start = self._measured.digests, perf_counter()
        try:
            timed = self._timed(batch)
            if batch in digests:
                timed.warm()
            else:
                digests[batch] = vector_digest(timed.runner, self.size)
                timed.mark_warm(since=start)
        except BenchError:  # does not fit into memory
            digests[batch] = ""
        return timed if self._may_be_sound(batch) else None

    def _may_be_sound(self, batch: int) -> bool:
        """Check whether a batch size gives the vectors of the base, or has not been tested."""
        digest = self._measured.digests.get(batch)
        return digest is None or (digest != "" and self._digest in ("", digest))

    def _climb(self, best: TimedRunner[R], *, until: float) -> TimedRunner[R]:
        """Climb from the best batch size so far until no neighbor is faster."""
        measured, rates = self._measured, self._measured.images_per_second
        while options := self._next_candidates(best.batch):
            start = perf_counter()
            affordable = [b for b in options if start + best.estimate_seconds(b, rates) <= until]
            if not affordable:
                measured.complete = False
                return best
            batch = affordable[0]
            if (other := self._warm_if_sound(batch)) is None:
                continue
            expected = rates[best.batch]
            rounds = [(best.rate(expected), other.rate(expected)) for _ in range(ROUNDS)]
            best_rate, other_rate = (max(column) for column in zip(*rounds, strict=True))
            rates[batch] = other_rate
            increasing = best.batch < batch
            smaller, larger = (best_rate, other_rate) if increasing else (other_rate, best_rate)
            if (larger > MIN_SPEEDUP * smaller) == increasing:
                best = other
        measured.complete = True
        return best

    def _next_candidates(self, best: int) -> list[int]:
        """Return the untried neighbors of the best batch size, larger ones first.

        The smallest is followed by the one two steps up: where small batches are slow, they are
        much slower.
        """
        measured = self._measured
        sound = [b for b in self.candidates if b == best or self._may_be_sound(b)]
        at = sound.index(best)
        positions = [at + 2, at + 1] if at == 0 else [at + 1, at - 1]
        neighbors = [sound[position] for position in positions if position < len(sound)]
        return [batch for batch in neighbors if batch not in measured.images_per_second]


def _warn_dependent(batch: int) -> None:
    _log.warning(
        "engine.batch_size=%d: the last bits of a vector depend on the other images in its batch "
        "on this machine; try another batch size",
        batch,
    )
