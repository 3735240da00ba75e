"""`python -m outliers_bench.collect`: collect images from the web into class folders."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

from outliers_bench.apps.collect.collection import open_collection
from outliers_bench.apps.collect.crawl import check_installed, run_crawl
from outliers_bench.apps.collect.options import Collect
from outliers_bench.apps.collect.settings import scrapy_settings
from outliers_bench.apps.collect.summary import count_failures, summary_lines
from outliers_bench.apps.collect.url_list import ListedImage, read_url_list
from outliers_bench.data.image_files import absolute_path
from outliers_bench.runtime.command_line import main
from outliers_bench.runtime.progress import progress_bar

PROGRAM = "python -m outliers_bench.collect"
INCOMPLETE = 1  # exit code


def collect(options: Collect) -> int:
    """Collect the images of a list or a web page.

    Returns
    -------
    int
        Exit code: 0 if all images are collected, 1 if some are missing.

    Raises
    ------
    BenchError
        If the options, the list or the page are invalid.
    """
    options.check()
    listed: list[ListedImage] = []
    if options.urls is not None:
        listed = read_url_list(options.urls, label=options.label, license=options.license)
    check_installed()
    with open_collection(absolute_path(options.into)) as collection:
        pending = collection.select_pending(listed, again=options.again)
        if pending or options.page is not None:
            from outliers_bench.apps.collect.spider import ImageSpider

            # How many images a page has is not known yet.
            with progress_bar(len(pending) or None, unit="images") as show:
                done = count(1)
                run_crawl(
                    ImageSpider,
                    settings=scrapy_settings(options),
                    allow_private=options.allow_private,
                    options=options,
                    collection=collection,
                    pending=pending,
                    on_image=lambda: show(next(done), "collect"),
                )
    for line in summary_lines(collection, folder=options.into):
        print(line)
    return INCOMPLETE if count_failures(collection) else 0


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command; see `command_line.main` for `arguments` and the exit code."""
    return main(Collect, collect, program=PROGRAM, arguments=arguments)
