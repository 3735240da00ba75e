"""The end of a collection on the terminal: how many are there, what is not, and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from outliers_bench.apps.collect.collection import Collection
from outliers_bench.apps.collect.failures import KEPT, OUTCOMES, failed
from outliers_bench.apps.collect.manifest import COLLECTED, NOT_COLLECTED
from outliers_bench.apps.collect.url_list import Wanted

_EXAMPLES = 3
_WIDTH = 34


def summary(into: Collection, wanted: Sequence[Wanted], *, given: str) -> Iterator[str]:
    """Lines that tell what became of everything that was asked for.

    Parameters
    ----------
    into : Collection
        Where it went.
    wanted : sequence of Wanted
        What was asked for.
    given : str
        The folder as the user calls it.
    """
    counts = into.counts
    yield _line("collected", counts[KEPT])
    yield _line("there already", counts["there"])
    for status, outcome in OUTCOMES.items():
        if counts[status] and not outcome.failed:
            yield _line(outcome.about, counts[status])
    missing = failed(counts)
    yield _line("not collected", missing)
    for status, outcome in OUTCOMES.items():
        if counts[status] and outcome.failed:
            yield _line(f"  {outcome.about}", counts[status])
            rows = (into.other.rows.get(each.url) for each in wanted)
            for row in [row for row in rows if row and row.status == status][:_EXAMPLES]:
                yield f"    {row.url}: {row.reason}"
    yield ""
    yield f"images, and where each came from: {given}, {COLLECTED} in it"
    if missing:
        yield f"what is not there, and why:       {NOT_COLLECTED} in it"
        if any(counts[status] and outcome.again for status, outcome in OUTCOMES.items()):
            yield "the same command tries again what may pass"


def _line(name: str, n: int) -> str:
    return f"{name:<{_WIDTH}}{n:>8,}"
