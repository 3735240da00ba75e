"""`engine.batch_size=auto`: how many images a request is fastest, measured and kept."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from time import perf_counter

from outliers_bench.engines.batch_size_cache import BatchSizeCache, Measurements
from outliers_bench.engines.timing import TURNS, R, TimedRunner, is_independent
from outliers_bench.errors import BenchError

_log = logging.getLogger(__name__)
MIN_SPEEDUP = 1.03  # a larger batch must be that many times as fast: machines are noisy
MIN_IMAGES = 64  # images for which nothing is measured
TIME_SHARE = 0.05  # of the time that the images will take
CONVERSION_SHARE = 0.25  # of the time that a conversion has taken just before


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
    """The runner of the batch size that is fastest on this machine, as far as there is time.

    What was found is kept, and final if nothing is left to measure or a run is allowed no more
    time than the one before; otherwise the measuring goes on from there. A run that was broken off
    goes on with the same batch size: it has no more images left than it had, the rate that the
    allowance is computed from is the kept one, and a conversion is not made twice.

    With few images nothing is measured, nor kept.

    Parameters
    ----------
    make : callable
        Gives the runner of a batch size.
    size : int
        Side of its images in pixels.
    record : BatchRecord
        What was found before.
    images : int
        How many are to be embedded.
    candidates : sequence of int
        Batch sizes, ascending.
    first : int
        The one of them to begin with, or the next smaller one that is sound.
    spare : float
        Seconds that the measuring may take even if the images take less time.
    """
    found = record.read()
    if images < MIN_IMAGES and not found.batch:
        return make(first)
    # The same each time: those that were not sound are known.
    begin = [batch for batch in reversed(candidates) if batch <= first]
    base = next((batch for batch in begin if found.sound.get(batch, True)), begin[-1])
    known = found.batch and base in found.images_per_second
    best = TimedRunner(make, found.batch, size) if known else _first_sound(make, begin, size, found)
    start = perf_counter()
    if not known:
        base, found.batch = best.batch, 0
        found.images_per_second[base] = best.rate()
    allowed = max(spare, TIME_SHARE * images / found.images_per_second[base])
    if known and (found.complete or allowed <= found.seconds_allowed):
        return best.runner
    if known:
        best.warm()
    best = _climb(best, make, size, candidates, found, until=start + allowed)
    found.batch, found.seconds_allowed = best.batch, allowed
    record.write(found)
    return best.runner


def check_batch_size(make: Callable[[int], R], batch: int, size: int, record: BatchSizeCache) -> R:
    """The runner of a batch size that was asked for; warns of one that makes vectors unsteady."""
    runner = make(batch)
    found = record.read()
    if batch > 1 and batch not in found.sound:
        found.sound[batch] = is_independent(runner, size)
        record.write(found)
    if not found.sound.get(batch, True):
        _warn_dependent(batch)
    return runner


def _first_sound(
    make: Callable[[int], R], begin: Sequence[int], size: int, found: Measurements
) -> TimedRunner[R]:
    """The first of the batch sizes that is sound; the last one, and a warning, if none is."""
    for batch in begin:
        if (best := _warm_if_sound(make, batch, size, found)) is not None:
            return best
    _warn_dependent(begin[-1])
    return TimedRunner(make, begin[-1], size)


def _warm_if_sound(
    make: Callable[[int], R], batch: int, size: int, found: Measurements
) -> TimedRunner[R] | None:
    """A runner that has run before; None if it is not sound, which is found out now if need be."""
    if not found.sound.get(batch, True):
        return None
    start = perf_counter()
    try:
        timed = TimedRunner(make, batch, size)
        if batch == 1 or batch in found.sound:
            timed.warm()
        else:
            found.sound[batch] = is_independent(timed.runner, size)
            timed.mark_warm(since=start)
    except BenchError:  # no room for so many
        found.sound[batch] = False
    return timed if found.sound.get(batch, True) else None


def _warn_dependent(batch: int) -> None:
    _log.warning(
        "engine.batch_size=%d: in the last bits, vectors depend here on the other images of their "
        "request; another size may not have that",
        batch,
    )


def _climb(
    best: TimedRunner[R],
    make: Callable[[int], R],
    size: int,
    candidates: Sequence[int],
    found: Measurements,
    *,
    until: float,
) -> TimedRunner[R]:
    """Climb from the best so far to a batch size that none beside it is faster than."""
    rates = found.images_per_second
    while options := _next_candidates(best.batch, candidates, found):
        start = perf_counter()
        in_time = [b for b in options if start + best.estimate_seconds(b, rates) <= until]
        if not in_time:
            found.complete = False
            return best
        batch = in_time[0]
        if (other := _warm_if_sound(make, batch, size, found)) is None:
            continue
        known = rates[best.batch]
        turns = [(best.rate(known), other.rate(known)) for _ in range(TURNS)]
        ours, theirs = (max(column) for column in zip(*turns, strict=True))
        rates[batch] = theirs
        smaller, larger = (ours, theirs) if best.batch < batch else (theirs, ours)
        if (larger > MIN_SPEEDUP * smaller) == (best.batch < batch):
            best = other
    found.complete = True
    return best


def _next_candidates(best: int, candidates: Sequence[int], found: Measurements) -> list[int]:
    """What may be faster than the best, most promising first: the larger, then the smaller.

    From the smallest two steps up at once: where the smallest are slow, they are so by far.
    """
    sound = [batch for batch in candidates if batch == best or found.sound.get(batch, True)]
    at = sound.index(best)
    beside = [at + 2, at + 1] if at == 0 else [at + 1, at - 1]
    near = [sound[place] for place in beside if place < len(sound)]
    return [batch for batch in near if batch not in found.images_per_second]
