"""Running Scrapy inside this command: one event loop, guarded, quiet, and ended by Ctrl-C."""

from __future__ import annotations

import logging
import signal
from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from outliers_bench.apps.collect.addresses import guard
from outliers_bench.errors import BenchError
from outliers_bench.runtime.invocation import install

if TYPE_CHECKING:
    from scrapy.crawler import AsyncCrawlerRunner

T = TypeVar("T")
_REACTOR = "twisted.internet.asyncioreactor.AsyncioSelectorReactor"


class Crawl(Protocol):
    """Runs one spider to its end."""

    def __call__(self, spider: type[Any], **given: object) -> Awaitable[None]:
        """`given` is what the spider is made with."""


def check_installed() -> None:
    """See that Scrapy is there.

    Raises
    ------
    BenchError
        If it is not.
    """
    if find_spec("scrapy") is None:
        raise BenchError(f"collecting needs scrapy: {install('collect')}")


def run_crawl(
    work: Callable[[Crawl], Awaitable[T]], *, settings: dict[str, Any], private: bool
) -> T:
    """Run crawls in an event loop; once in a process, since Twisted's does not start twice.

    Parameters
    ----------
    work : callable
        Gets a function that runs a spider, and awaits it as often as it likes.
    settings : dict
        Scrapy's.
    private : bool
        Whether connections to private addresses are allowed.

    Raises
    ------
    BenchError
        If a spider tells of one in its `broken`.
    KeyboardInterrupt
        After Ctrl-C; what was on its way is dropped.
    """
    from scrapy.crawler import AsyncCrawlerRunner
    from scrapy.resolver import CachingHostnameResolver
    from scrapy.utils.reactor import install_reactor
    from twisted.internet.defer import Deferred

    _silence()
    install_reactor(_REACTOR)
    from twisted.internet import reactor

    loop: Any = reactor
    if not private:
        guard(loop)
    CachingHostnameResolver(loop, 10_000).install_on_reactor()
    crawl = _crawl_with(AsyncCrawlerRunner({**settings, "TWISTED_REACTOR": _REACTOR}))
    results: list[T] = []
    errors: list[BaseException] = []

    async def everything() -> None:
        try:
            results.append(await work(crawl))
        except BaseException as error:  # raised again outside the loop
            errors.append(error)
        finally:
            if loop.running:
                loop.stop()

    def interrupt(*_: object) -> None:
        errors.append(KeyboardInterrupt())
        loop.callFromThread(loop.stop)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    all_of_it = everything()
    before = signal.signal(signal.SIGINT, interrupt)
    try:
        loop.callWhenRunning(lambda: Deferred.fromCoroutine(all_of_it))
        loop.run(installSignalHandlers=False)
    finally:
        signal.signal(signal.SIGINT, before)
        all_of_it.close()  # what it holds open, such as a progress bar
    if errors:
        raise errors[0]
    return results[0]


def _crawl_with(runner: AsyncCrawlerRunner) -> Crawl:
    """A function that runs a spider, and raises what it met instead of passing over it."""
    from scrapy import signals
    from twisted.internet.defer import Deferred

    async def crawl(spider: type[Any], **given: object) -> None:
        crawler = runner.create_crawler(spider)
        faults: list[BaseException] = []

        def fault(failure: Any) -> None:  # noqa: ANN401 - Twisted's
            faults.append(failure.value)

        crawler.signals.connect(fault, signal=signals.spider_error)
        await Deferred.fromFuture(runner.crawl(crawler, **given))
        broken: BenchError | None = getattr(crawler.spider, "broken", None)
        if broken is not None:
            raise broken
        if faults:  # Scrapy would log them and go on
            raise faults[0]

    return crawl


def _silence() -> None:
    """What a crawl meets is in the tables; Scrapy's and Twisted's logs would say it twice."""
    from twisted.logger import globalLogBeginner

    for name in ("scrapy", "twisted", "protego", "asyncio"):
        logger = logging.getLogger(name)
        logger.addHandler(logging.NullHandler())
        logger.propagate = False
    # Until somebody listens, Twisted prints what it takes for critical.
    nobody: Any = lambda _: None  # noqa: E731 - an observer is any callable, whatever its type says
    globalLogBeginner.beginLoggingTo([nobody], redirectStandardIO=False)
