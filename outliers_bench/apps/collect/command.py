"""`python -m outliers_bench.collect`: collect images from the web into class folders."""

from __future__ import annotations

from collections.abc import Sequence

from outliers_bench.apps.collect.collection import Collection, open_collection
from outliers_bench.apps.collect.crawl import Crawl, check_installed, run_crawl
from outliers_bench.apps.collect.failures import count_failures
from outliers_bench.apps.collect.options import Collect
from outliers_bench.apps.collect.settings import scrapy_settings
from outliers_bench.apps.collect.summary import summary_lines
from outliers_bench.apps.collect.url_list import ListedImage, deduplicate, read_url_list
from outliers_bench.data.image_files import absolute_path
from outliers_bench.errors import BenchError
from outliers_bench.runtime.command_line import main
from outliers_bench.runtime.progress import progress_bar, status

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
    listed = (
        None
        if options.urls is None
        else read_url_list(options.urls, label=options.label, license=options.license)
    )
    check_installed()
    with open_collection(absolute_path(options.into)) as collection:
        images = listed or []
        pending = collection.select_pending(images, again=options.again)

        async def run_spiders(crawl: Crawl) -> None:
            if listed is None:
                images.extend(await _find_on_pages(crawl, options))
                pending.extend(collection.select_pending(images, again=options.again))
            await _collect_images(crawl, collection, pending, options)

        if pending or listed is None:
            run_crawl(
                run_spiders,
                settings=scrapy_settings(options),
                allow_private=options.allow_private,
            )
        for line in summary_lines(collection, images, folder=options.into):
            print(line)
    return INCOMPLETE if count_failures(collection.counts) else 0


async def _find_on_pages(crawl: Crawl, options: Collect) -> list[ListedImage]:
    from outliers_bench.apps.collect.spiders import PageSpider

    images: list[ListedImage] = []
    with status("searching pages for images"):
        await crawl(PageSpider, options=options, images=images)
    if not images:
        raise BenchError(
            f"page={options.page}: no images found; images that are inserted by a script are not "
            "seen"
        )
    return deduplicate(images, source=f"page={options.page}")


async def _collect_images(
    crawl: Crawl, collection: Collection, pending: list[ListedImage], options: Collect
) -> None:
    from outliers_bench.apps.collect.spiders import ImageSpider

    if not pending:
        return
    with progress_bar(len(pending), unit="images") as show:
        done = 0

        def advance() -> None:
            nonlocal done
            done += 1
            show(done, "collect")

        await crawl(
            ImageSpider, pending=pending, collection=collection, options=options, on_image=advance
        )


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command; see `command_line.main` for `arguments` and the exit code."""
    return main(Collect, collect, program=PROGRAM, arguments=arguments)
