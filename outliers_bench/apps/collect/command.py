"""python -m outliers_bench.collect: images from the web into class folders."""

from __future__ import annotations

from collections.abc import Sequence

from outliers_bench.apps.collect.collection import Collection, collection
from outliers_bench.apps.collect.crawl import Crawl, check_installed, run_crawl
from outliers_bench.apps.collect.failures import failed
from outliers_bench.apps.collect.options import Collect
from outliers_bench.apps.collect.settings import settings
from outliers_bench.apps.collect.summary import summary
from outliers_bench.apps.collect.url_list import Wanted, once, read_list
from outliers_bench.data.image_files import absolute
from outliers_bench.errors import BenchError
from outliers_bench.runtime.command_line import main
from outliers_bench.runtime.progress import counted, status

PROGRAM = "python -m outliers_bench.collect"
INCOMPLETE = 1


def collect(options: Collect) -> int:
    """Collect what a list or a page names.

    Returns
    -------
    int
        Exit code: 0 if everything is there, 1 if something is not.

    Raises
    ------
    BenchError
        If the options, the list or the page are at fault.
    """
    options.check()
    listed = (
        None
        if options.urls is None
        else read_list(options.urls, label=options.label, license=options.license)
    )
    check_installed()
    with collection(absolute(options.into)) as into:
        wanted = listed or []
        todo = into.todo(wanted, again=options.again)

        async def work(crawl: Crawl) -> None:
            if listed is None:
                wanted.extend(await _of_page(crawl, options))
                todo.extend(into.todo(wanted, again=options.again))
            await _images(crawl, into, todo, options)

        if todo or listed is None:
            run_crawl(work, settings=settings(options), private=options.allow_private)
        for line in summary(into, wanted, given=options.into):
            print(line)
    return INCOMPLETE if failed(into.counts) else 0


async def _of_page(crawl: Crawl, options: Collect) -> list[Wanted]:
    from outliers_bench.apps.collect.spiders import Pages

    found: list[Wanted] = []
    with status("looking for images"):
        await crawl(Pages, options=options, found=found)
    if not found:
        raise BenchError(
            f"page={options.page}: there are no images on it; those that only a script puts there "
            "are not seen"
        )
    return once(found, where=f"page={options.page}")


async def _images(crawl: Crawl, into: Collection, todo: list[Wanted], options: Collect) -> None:
    from outliers_bench.apps.collect.spiders import Images

    if not todo:
        return
    with counted(len(todo), unit="images") as show:
        done = 0

        def told() -> None:
            nonlocal done
            done += 1
            show(done, "collect")

        await crawl(Images, todo=todo, into=into, options=options, told=told)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command; see `command_line.main` for `arguments` and the exit code."""
    return main(Collect, collect, program=PROGRAM, arguments=arguments)
