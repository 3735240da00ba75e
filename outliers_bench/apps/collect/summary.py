"""Summary of a collection on the terminal: counts and reasons."""

from __future__ import annotations

from collections.abc import Iterator

from outliers_bench.apps.collect.collection import Collection
from outliers_bench.apps.collect.failures import ALREADY_COLLECTED, COLLECTED, OUTCOMES
from outliers_bench.apps.collect.manifest import COLLECTED_FILE, NOT_COLLECTED_FILE

_EXAMPLES = 3
_WIDTH = 34


def count_failures(collection: Collection) -> int:
    """Return the number of requested images that are missing."""
    return sum(
        n for name, n in collection.counts.items() if name in OUTCOMES and OUTCOMES[name].is_failure
    )


def summary_lines(collection: Collection, *, folder: str) -> Iterator[str]:
    """Yield the lines of the summary; `folder` is the folder as given by the user."""
    counts = collection.counts
    yield _line("collected", counts[COLLECTED])
    yield _line("already collected", counts[ALREADY_COLLECTED])
    for status, outcome in OUTCOMES.items():
        if counts[status] and not outcome.is_failure:
            yield _line(outcome.description, counts[status])
    n_failures = count_failures(collection)
    yield _line("not collected", n_failures)
    for status, outcome in OUTCOMES.items():
        if counts[status] and outcome.is_failure:
            yield _line(f"  {outcome.description}", counts[status])
            urls = [url for url, each in collection.statuses.items() if each == status]
            for url in urls[:_EXAMPLES]:
                yield f"    {url}: {collection.not_collected.rows[url].reason}"
    yield ""
    yield f"images and their sources: {COLLECTED_FILE} in {folder}"
    if n_failures:
        yield f"failures with reasons:    {NOT_COLLECTED_FILE} in {folder}"
        if any(counts[status] and outcome.retried for status, outcome in OUTCOMES.items()):
            yield "run the same command again to retry transient failures"


def _line(name: str, n: int) -> str:
    return f"{name:<{_WIDTH}}{n:>8,}"
