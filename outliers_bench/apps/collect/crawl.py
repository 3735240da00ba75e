"""Scrapy inside this command: one event loop, restricted addresses, no logs, ended by Ctrl-C."""

from __future__ import annotations

import logging
import signal
from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from outliers_bench.apps.collect.addresses import refuse_private_addresses
from outliers_bench.errors import BenchError
from outliers_bench.runtime.invocation import install_command

if TYPE_CHECKING:
    from scrapy.crawler import AsyncCrawlerRunner

T = TypeVar("T")
_REACTOR = "twisted.internet.asyncioreactor.AsyncioSelectorReactor"


class Crawl(Protocol):
    """A function that runs one spider to its end."""

    def __call__(self, spider: type[Any], **arguments: object) -> Awaitable[None]:
        """Run a spider; `arguments` are passed to its constructor."""


def check_installed() -> None:
    """Check that Scrapy is installed.

    Raises
    ------
    BenchError
        If it is not.
    """
    if find_spec("scrapy") is None:
        raise BenchError(f"collecting needs scrapy: {install_command('collect')}")


def run_crawl(
    run_spiders: Callable[[Crawl], Awaitable[T]], *, settings: dict[str, Any], allow_private: bool
) -> T:
    """Run crawls in an event loop.

    Can be called once per process, because Twisted's event loop does not start twice.

    Parameters
    ----------
    run_spiders : callable
        Receives a function that runs a spider, and awaits it any number of times.
    settings : dict
        Settings of Scrapy.
    allow_private : bool
        Whether connections to private addresses are allowed.

    Raises
    ------
    BenchError
        If a spider has set one as its `error`.
    KeyboardInterrupt
        After Ctrl-C; requests in progress are dropped.
    """
    from scrapy.crawler import AsyncCrawlerRunner
    from scrapy.resolver import CachingHostnameResolver
    from scrapy.utils.reactor import install_reactor
    from twisted.internet.defer import Deferred

    _silence_logs()
    install_reactor(_REACTOR)
    from twisted.internet import reactor

    loop: Any = reactor
    if not allow_private:
        refuse_private_addresses(loop)
    CachingHostnameResolver(loop, 10_000).install_on_reactor()
    crawl = _make_crawl(AsyncCrawlerRunner({**settings, "TWISTED_REACTOR": _REACTOR}))
    results: list[T] = []
    errors: list[BaseException] = []

    async def run_and_stop() -> None:
        try:
            results.append(await run_spiders(crawl))
        except BaseException as error:  # raised again outside the loop
            errors.append(error)
        finally:
            if loop.running:
                loop.stop()

    def interrupt(*_: object) -> None:
        errors.append(KeyboardInterrupt())
        loop.callFromThread(loop.stop)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    coroutine = run_and_stop()
    previous_handler = signal.signal(signal.SIGINT, interrupt)
    try:
        loop.callWhenRunning(lambda: Deferred.fromCoroutine(coroutine))
        loop.run(installSignalHandlers=False)
    finally:
        signal.signal(signal.SIGINT, previous_handler)
        coroutine.close()  # closes what it has open, such as a progress bar
    if errors:
        raise errors[0]
    return results[0]


def _make_crawl(runner: AsyncCrawlerRunner) -> Crawl:
    """Return a function that runs a spider and raises its errors, which Scrapy only logs."""
    from scrapy import signals
    from twisted.internet.defer import Deferred

    async def crawl(spider: type[Any], **arguments: object) -> None:
        crawler = runner.create_crawler(spider)
        exceptions: list[BaseException] = []

        def record_exception(failure: Any) -> None:  # noqa: ANN401 - Twisted's
            exceptions.append(failure.value)

        crawler.signals.connect(record_exception, signal=signals.spider_error)
        await Deferred.fromFuture(runner.crawl(crawler, **arguments))
        error: BenchError | None = getattr(crawler.spider, "error", None)
        if error is not None:
            raise error
        if exceptions:  # Scrapy would log them and continue
            raise exceptions[0]

    return crawl


def _silence_logs() -> None:
    """Turn off the logs of Scrapy and Twisted; the manifests record the same events."""
    from twisted.logger import globalLogBeginner

    for name in ("scrapy", "twisted", "protego", "asyncio"):
        logger = logging.getLogger(name)
        logger.addHandler(logging.NullHandler())
        logger.propagate = False
    # Without an observer, Twisted prints critical events.
    discard: Any = lambda _: None  # noqa: E731 - an observer is any callable, whatever its type says
    globalLogBeginner.beginLoggingTo([discard], redirectStandardIO=False)
