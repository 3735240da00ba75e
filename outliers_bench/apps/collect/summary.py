"""Summary of a collection on the terminal: counts and reasons."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from outliers_bench.apps.collect.collection import Collection
from outliers_bench.apps.collect.failures import (
    ALREADY_COLLECTED,
    COLLECTED,
    OUTCOMES,
    count_failures,
)
from outliers_bench.apps.collect.manifest import COLLECTED_FILE, NOT_COLLECTED_FILE
from outliers_bench.apps.collect.url_list import ListedImage

_EXAMPLES = 3
_WIDTH = 34


def summary_lines(
    collection: Collection, images: Sequence[ListedImage], *, folder: str
) -> Iterator[str]:
    """Yield the lines of the summary.

    Parameters
    ----------
    collection : Collection
        The collection.
    images : sequence of ListedImage
        All images of the list or the pages.
    folder : str
        The folder as given by the user.
    """
    counts = collection.counts
    yield _line("collected", counts[COLLECTED])
    yield _line("already collected", counts[ALREADY_COLLECTED])
    for status, outcome in OUTCOMES.items():
        if counts[status] and not outcome.is_failure:
            yield _line(outcome.description, counts[status])
    n_failures = count_failures(counts)
    yield _line("not collected", n_failures)
    for status, outcome in OUTCOMES.items():
        if counts[status] and outcome.is_failure:
            yield _line(f"  {outcome.description}", counts[status])
            rows = (collection.not_collected.rows.get(image.url) for image in images)
            for row in [row for row in rows if row and row.status == status][:_EXAMPLES]:
                yield f"    {row.url}: {row.reason}"
    yield ""
    yield f"images and their sources: {COLLECTED_FILE} in {folder}"
    if n_failures:
        yield f"failures with reasons:    {NOT_COLLECTED_FILE} in {folder}"
        if any(counts[status] and outcome.retried for status, outcome in OUTCOMES.items()):
            yield "run the same command again to retry transient failures"


def _line(name: str, n: int) -> str:
    return f"{name:<{_WIDTH}}{n:>8,}"
