"""Scrapy middlewares for Retry-After, Crawl-delay, and a robots.txt that is not available."""

from __future__ import annotations

import asyncio
import math
from collections import defaultdict
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

from scrapy import signals
from scrapy.crawler import Crawler
from scrapy.downloadermiddlewares.retry import RetryMiddleware
from scrapy.downloadermiddlewares.robotstxt import RobotsTxtMiddleware
from scrapy.exceptions import DownloadCancelledError, IgnoreRequest
from scrapy.http import Request, Response
from scrapy.robotstxt import RobotParser

from outliers_bench.apps.collect.options import CRAWLER_NAME

MAX_WAIT = 120.0
"""Seconds; a host that requests a longer wait is not contacted again in the same run."""

INITIAL_WAIT = 2.0
"""Seconds before the first retry at a busy host without Retry-After; doubled for each retry."""

_BUSY = (429, 503)


class BusyError(IgnoreRequest):
    """A host requests a longer wait than `MAX_WAIT`."""


class RetryAfterMiddleware(RetryMiddleware):
    """Scrapy's retries, delayed as long as a busy host requests (RFC 9110, 10.2.3).

    During the wait no further request is sent to that host.
    """

    def __init__(self, settings: Any) -> None:  # noqa: ANN401 - as in Scrapy
        super().__init__(settings)
        self._blocked_until: dict[str, float] = {}

    async def process_request(self, request: Request) -> None:
        """Delay a request while its host is blocked."""
        await self._wait(_host(request))

    async def process_response(  # type: ignore[override]
        self, request: Request, response: Response
    ) -> Request | Response:
        """Retry after a transient failure; wait before that if the host is busy."""
        if response.status not in _BUSY:
            result: Request | Response = super().process_response(request, response)
            return result
        retries = request.meta.get("retry_times", 0)
        wait = retry_after_seconds(
            response.headers.get("Retry-After"), default=INITIAL_WAIT * 2**retries
        )
        host = _host(request)
        if wait > MAX_WAIT:
            self._blocked_until[host] = math.inf
            return response
        retry = self._retry(request, f"{response.status}")
        if retry is None:
            return response
        self._blocked_until[host] = max(self._blocked_until.get(host, 0.0), monotonic() + wait)
        slot = self.crawler.engine.downloader.slots.get(request.meta.get("download_slot", ""))
        # Scrapy processes the queue again when the retry enters it.
        if slot is not None:
            slot.concurrency = 0
        await self._wait(host)
        if slot is not None:
            slot.concurrency = self.crawler.settings.getint("CONCURRENT_REQUESTS_PER_DOMAIN")
        return retry

    async def _wait(self, host: str) -> None:
        while (remaining := self._blocked_until.get(host, 0.0) - monotonic()) > 0:
            if remaining == math.inf:
                raise BusyError(f"the host requests a wait of more than {MAX_WAIT:.0f} s")
            await asyncio.sleep(remaining)


class CrawlDelayMiddleware:
    """Delay between requests according to the Crawl-delay of a host's robots.txt."""

    def __init__(self, crawler: Crawler) -> None:
        self._crawler = crawler
        self._delays: dict[str, float] = {}
        crawler.signals.connect(self.robots_parsed, signal=signals.robots_parsed)

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> CrawlDelayMiddleware:
        """Create the middleware; called by Scrapy."""
        return cls(crawler)

    def robots_parsed(self, robotparser: RobotParser, request: Request) -> None:
        """Store the Crawl-delay of a robots.txt."""
        delay = robotparser.crawl_delay(CRAWLER_NAME)
        if delay is not None and delay > self._crawler.settings.getfloat("DOWNLOAD_DELAY"):
            self._delays[_host(request)] = min(delay, MAX_WAIT)

    def process_request(self, request: Request) -> None:
        """Set the delay of the host, and exempt it from AutoThrottle."""
        delay = self._delays.get(_host(request))
        if delay is None:
            return
        request.meta["autothrottle_dont_adjust_delay"] = True
        downloader = self._crawler.engine.downloader
        slot = downloader.slots.get(downloader.get_slot_key(request))
        if slot is not None:
            slot.delay, slot.jitter, slot.concurrency = delay, 0.0, 1


class StrictRobotsMiddleware(RobotsTxtMiddleware):
    """Scrapy's robots.txt middleware without gaps.

    A server that fails to deliver its robots.txt, or does not respond, forbids everything
    (RFC 9309, 2.3.1.4).

    Every request waits for robots.txt and is checked. Scrapy 2.19 checks only one of several
    requests that wait for the same robots.txt: all of them await one Deferred, and the first
    leaves None in it for the others.
    """

    def __init__(self, crawler: Crawler) -> None:
        super().__init__(crawler)
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._unreachable: dict[str, Exception] = {}

    async def robot_parser(self, request: Request) -> RobotParser | None:
        """Return the rules of a host; None if it has none.

        Raises the error of the request if robots.txt is not available.
        """
        host = urlsplit(request.url).netloc
        async with self._locks[host]:
            rules = await super().robot_parser(request)
        if host in self._unreachable:
            raise self._unreachable[host].with_traceback(None)
        return rules

    def _robots_error(self, exc: Exception, netloc: str) -> None:
        """Store the error of an unreachable host, which fails all other requests to it."""
        super()._robots_error(exc, netloc)
        if not isinstance(exc, IgnoreRequest | DownloadCancelledError):  # the host did respond
            self._unreachable[netloc] = exc

    def process_response(self, request: Request, response: Response) -> Response:
        """Replace a robots.txt that failed with a server error by one that forbids everything."""
        # Scrapy sets this flag on its requests for robots.txt; the spiders never set it.
        if request.meta.get("dont_obey_robotstxt") and response.status >= 500:
            return response.replace(body=b"User-agent: *\nDisallow: /\n")
        return response


def retry_after_seconds(retry_after: bytes | None, *, default: float) -> float:
    """Return the wait in seconds of a Retry-After header, which is a number or a date."""
    text = (retry_after or b"").decode("latin-1").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return default
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return max((date - datetime.now(UTC)).total_seconds(), 0.0)


def _host(request: Request) -> str:
    return urlsplit(request.url).hostname or ""
