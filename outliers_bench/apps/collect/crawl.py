"""Scrapy inside this command: one event loop, restricted addresses, no logs, ended by Ctrl-C."""

from __future__ import annotations

import logging
import signal
from importlib.util import find_spec
from typing import Any

from outliers_bench.apps.collect.addresses import refuse_private_addresses
from outliers_bench.apps.collect.options import Collect
from outliers_bench.apps.collect.settings import scrapy_settings
from outliers_bench.errors import BenchError
from outliers_bench.runtime.invocation import install_command

_REACTOR = "twisted.internet.asyncioreactor.AsyncioSelectorReactor"


def check_installed() -> None:
    """Raise `BenchError` if Scrapy is not installed."""
    if find_spec("scrapy") is None:
        raise BenchError(f"collecting needs scrapy: {install_command('collect')}")


def run_crawl(options: Collect, **arguments: object) -> None:
    """Run an `ImageSpider` to its end; the arguments are its own.

    Can be called once per process, because Twisted's event loop does not start twice.

    Raises
    ------
    KeyboardInterrupt
        After Ctrl-C. This and any error of the spider, which Scrapy would only log, end the crawl;
        requests in progress are dropped.
    """
    from scrapy import signals
    from scrapy.crawler import AsyncCrawlerRunner
    from scrapy.resolver import CachingHostnameResolver
    from scrapy.utils.reactor import install_reactor

    from outliers_bench.apps.collect.spider import ImageSpider

    _silence_logs()
    install_reactor(_REACTOR)
    from twisted.internet import reactor

    loop: Any = reactor
    if not options.allow_private:
        refuse_private_addresses(loop)
    CachingHostnameResolver(loop, 10_000).install_on_reactor()
    runner = AsyncCrawlerRunner({**scrapy_settings(options), "TWISTED_REACTOR": _REACTOR})
    crawler = runner.create_crawler(ImageSpider)
    errors: list[BaseException] = []

    def end(error: BaseException | None) -> None:
        if error is not None:
            errors.append(error)
        if loop.running:
            loop.stop()

    def start() -> None:
        crawl = runner.crawl(crawler, options=options, **arguments)
        crawl.add_done_callback(lambda task: end(task.exception()))

    def interrupt(*_: object) -> None:
        loop.callFromThread(end, KeyboardInterrupt())
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def on_spider_error(failure: Any) -> None:  # noqa: ANN401 - Twisted's
        end(failure.value)

    crawler.signals.connect(on_spider_error, signal=signals.spider_error)
    loop.callWhenRunning(start)
    previous_handler = signal.signal(signal.SIGINT, interrupt)
    try:
        loop.run(installSignalHandlers=False)
    finally:
        signal.signal(signal.SIGINT, previous_handler)
    if errors:
        raise errors[0]


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
