"""Tuning for `engine.batch_size=auto`: the fastest batch size, measured once and cached."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from time import perf_counter

from outliers_bench.engines.batch_size_cache import BatchSizeCache, Measurements
from outliers_bench.engines.timing import ROUNDS, R, TimedRunner, is_independent
from outliers_bench.errors import BenchError

_log = logging.getLogger(__name__)
MIN_SPEEDUP = 1.03  # required of a larger batch, because timings are noisy
MIN_IMAGES = 64  # nothing is measured for fewer images
TIME_SHARE = 0.05  # of the time it takes to embed the images
CONVERSION_SHARE = 0.25  # of the time that a conversion in this run took


def tune_batch_size(
    make: Callable[[int], R],
    size: int,
    record: BatchSizeCache,
    images: int,
    *,
    candidates: Sequence[int],
    first: int,
    spare: float = 0.0,
) -> R:
    """Return the runner with the fastest batch size found within the time allowed.

    Measurements are cached. They are final if nothing is left to measure, or if a run is allowed
    no more time than the one before; otherwise measuring continues from them. A run that resumes
    after an interruption uses the same batch size: it has no more images left than before, the
    allowance is computed from the cached rate, and the conversion is not repeated.

    With few images, nothing is measured or cached.

    Parameters
    ----------
    make : callable
        Returns the runner for a batch size.
    size : int
        Side of the images in pixels.
    record : BatchSizeCache
        Measurements of earlier runs.
    images : int
        Number of images to embed.
    candidates : sequence of int
        Batch sizes, in ascending order.
    first : int
        The candidate to start from; if it is not sound, the next smaller one that is.
    spare : float
        Seconds that measuring may take even if embedding the images takes less time.
    """
    measured = record.read()
    if images < MIN_IMAGES and not measured.batch:
        return make(first)
    # The same in every run, because batch sizes that are not sound are cached.
    descending = [batch for batch in reversed(candidates) if batch <= first]
    base = next((batch for batch in descending if measured.sound.get(batch, True)), descending[-1])
    known = measured.batch and base in measured.images_per_second
    best = (
        TimedRunner(make, measured.batch, size)
        if known
        else _first_sound(make, descending, size, measured)
    )
    start = perf_counter()
    if not known:
        base, measured.batch = best.batch, 0
        measured.images_per_second[base] = best.rate()
    allowed = max(spare, TIME_SHARE * images / measured.images_per_second[base])
    if known and (measured.complete or allowed <= measured.seconds_allowed):
        return best.runner
    if known:
        best.warm()
    best = _climb(best, make, size, candidates, measured, until=start + allowed)
    measured.batch, measured.seconds_allowed = best.batch, allowed
    record.write(measured)
    return best.runner


def check_batch_size(make: Callable[[int], R], batch: int, size: int, record: BatchSizeCache) -> R:
    """Return the runner for a given batch size; warn if its vectors depend on their neighbors."""
    runner = make(batch)
    measured = record.read()
    if batch > 1 and batch not in measured.sound:
        measured.sound[batch] = is_independent(runner, size)
        record.write(measured)
    if not measured.sound.get(batch, True):
        _warn_dependent(batch)
    return runner


def _first_sound(
    make: Callable[[int], R], descending: Sequence[int], size: int, measured: Measurements
) -> TimedRunner[R]:
    """Return a runner for the first sound batch size; if none is sound, warn and use the last."""
    for batch in descending:
        if (best := _warm_if_sound(make, batch, size, measured)) is not None:
            return best
    _warn_dependent(descending[-1])
    return TimedRunner(make, descending[-1], size)


def _warm_if_sound(
    make: Callable[[int], R], batch: int, size: int, measured: Measurements
) -> TimedRunner[R] | None:
    """Return a warm runner, or None if it is not sound, which is tested if not known yet."""
    if not measured.sound.get(batch, True):
        return None
    start = perf_counter()
    try:
        timed = TimedRunner(make, batch, size)
        if batch == 1 or batch in measured.sound:
            timed.warm()
        else:
            measured.sound[batch] = is_independent(timed.runner, size)
            timed.mark_warm(since=start)
    except BenchError:  # does not fit into memory
        measured.sound[batch] = False
    return timed if measured.sound.get(batch, True) else None


def _warn_dependent(batch: int) -> None:
    _log.warning(
        "engine.batch_size=%d: the last bits of a vector depend on the other images in its batch "
        "on this machine; try another batch size",
        batch,
    )


def _climb(
    best: TimedRunner[R],
    make: Callable[[int], R],
    size: int,
    candidates: Sequence[int],
    measured: Measurements,
    *,
    until: float,
) -> TimedRunner[R]:
    """Climb from the best batch size so far until no neighbor is faster."""
    rates = measured.images_per_second
    while options := _next_candidates(best.batch, candidates, measured):
        start = perf_counter()
        affordable = [b for b in options if start + best.estimate_seconds(b, rates) <= until]
        if not affordable:
            measured.complete = False
            return best
        batch = affordable[0]
        if (other := _warm_if_sound(make, batch, size, measured)) is None:
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


def _next_candidates(best: int, candidates: Sequence[int], measured: Measurements) -> list[int]:
    """Return the untried neighbors of the best batch size, larger ones first.

    The smallest is followed by the one two steps up: where small batches are slow, they are much
    slower.
    """
    sound = [batch for batch in candidates if batch == best or measured.sound.get(batch, True)]
    at = sound.index(best)
    positions = [at + 2, at + 1] if at == 0 else [at + 1, at - 1]
    neighbors = [sound[position] for position in positions if position < len(sound)]
    return [batch for batch in neighbors if batch not in measured.images_per_second]
