"""`python -m outliers_bench.collect`: collect images from the web into class folders."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import count

from outliers_bench.apps.collect.collection import Collection, open_collection
from outliers_bench.apps.collect.crawl import check_installed, run_crawl
from outliers_bench.apps.collect.failures import ALREADY_COLLECTED, COLLECTED, OUTCOMES
from outliers_bench.apps.collect.manifest import COLLECTED_FILE, NOT_COLLECTED_FILE
from outliers_bench.apps.collect.options import Collect
from outliers_bench.apps.collect.url_list import ListedImage, read_url_list
from outliers_bench.data.image_files import absolute_path
from outliers_bench.runtime.command_line import main
from outliers_bench.runtime.progress import progress_bar

PROGRAM = "python -m outliers_bench.collect"
INCOMPLETE = 1  # exit code
_EXAMPLES = 3  # of each failure


def collect(options: Collect) -> int:
    """Collect the images of a list or a web page; return 1 if some are missing."""
    options.check()
    listed: list[ListedImage] = []
    if options.urls is not None:
        listed = read_url_list(options.urls, label=options.label, license=options.license)
    check_installed()
    with open_collection(absolute_path(options.into, "into")) as collection:
        pending = collection.select_pending(listed, again=options.again)
        if pending or options.page is not None:
            # How many images a page has is not known yet.
            with progress_bar(len(pending) or None, unit="images") as show:
                done = count(1)
                run_crawl(
                    options,
                    collection=collection,
                    pending=pending,
                    on_image=lambda: show(next(done), "collect"),
                )
    return INCOMPLETE if _print_summary(collection, options.into) else 0


def _print_summary(collection: Collection, folder: str) -> int:
    """Print counts and reasons; return the number of images that are missing."""
    counts = Counter(collection.statuses.values())

    def line(name: str, n: int) -> None:
        print(f"{name:<34}{n:>8,}")

    line("collected", counts[COLLECTED])
    line("already collected", counts[ALREADY_COLLECTED])
    found = {status: outcome for status, outcome in OUTCOMES.items() if counts[status]}
    for status, outcome in found.items():
        if not outcome.is_failure:
            line(outcome.description, counts[status])
    failures = {status: outcome for status, outcome in found.items() if outcome.is_failure}
    missing = sum(counts[status] for status in failures)
    line("not collected", missing)
    for status, outcome in failures.items():
        line(f"  {outcome.description}", counts[status])
        urls = [url for url, each in collection.statuses.items() if each == status]
        for url in urls[:_EXAMPLES]:
            print(f"    {url}: {collection.not_collected.rows[url].reason}")
    print(f"\nimages and their sources: {COLLECTED_FILE} in {folder}")
    if missing:
        print(f"failures with reasons:    {NOT_COLLECTED_FILE} in {folder}")
    if any(outcome.retried for outcome in failures.values()):
        print("run the same command again to retry transient failures")
    return missing


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command; see `command_line.main` for `arguments` and the exit code."""
    return main(Collect, collect, program=PROGRAM, arguments=arguments)
