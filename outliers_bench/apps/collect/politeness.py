"""Scrapy middlewares for Retry-After, Crawl-delay, and a robots.txt that is not available."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from time import monotonic
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from scrapy.crawler import Crawler
from scrapy.downloadermiddlewares.retry import RetryMiddleware
from scrapy.downloadermiddlewares.robotstxt import RobotsTxtMiddleware
from scrapy.exceptions import DownloadCancelledError, IgnoreRequest
from scrapy.http import Request, Response
from urllib3.exceptions import InvalidHeader
from urllib3.util import Retry

from outliers_bench.apps.collect.options import CRAWLER_NAME

if TYPE_CHECKING:
    from scrapy.core.downloader import Slot
    from scrapy.robotstxt import RobotParser

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
        self._refused: set[str] = set()

    def process_request(self, request: Request) -> None:
        """Refuse a request to a host that requests too long a wait."""
        if urlsplit(request.url).hostname in self._refused:
            raise BusyError(f"the host requests a wait of more than {MAX_WAIT:.0f} s")

    def process_response(  # type: ignore[override]
        self, request: Request, response: Response
    ) -> Request | Response:
        """Retry after a transient failure; make the host's queue wait before that if it is busy."""
        result: Request | Response = super().process_response(request, response)
        if response.status not in _BUSY:
            return result
        retries = request.meta.get("retry_times", 0)
        wait = _parse_wait(response.headers.get("Retry-After"), INITIAL_WAIT * 2**retries)
        if wait > MAX_WAIT:
            self._refused.add(urlsplit(request.url).hostname or "")
            return response
        slot = _slot(self.crawler, request)
        if slot is not None and result is not response:
            # As if the latest request had been sent then. AutoThrottle's delay is never 0.
            slot.lastseen = max(slot.lastseen, monotonic() + wait)
        return result


class StrictRobotsMiddleware(RobotsTxtMiddleware):
    """Scrapy's robots.txt middleware without gaps, and with Crawl-delay.

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
        """Return the rules of a host, None if it has none, and obey its Crawl-delay.

        Raises the error of the request if robots.txt is not available.
        """
        host = urlsplit(request.url).netloc
        async with self._locks[host]:
            rules = await super().robot_parser(request)
        if host in self._unreachable:
            raise self._unreachable[host].with_traceback(None)
        delay = None if rules is None else rules.crawl_delay(CRAWLER_NAME)
        if delay is not None and delay > self.crawler.settings.getfloat("DOWNLOAD_DELAY"):
            request.meta["autothrottle_dont_adjust_delay"] = True
            slot = _slot(self.crawler, request)
            if slot is not None:
                slot.delay, slot.jitter, slot.concurrency = min(delay, MAX_WAIT), 0.0, 1
        return rules

    async def _parse_robots(self, response: Response, netloc: str, request: Request) -> None:
        """Replace a robots.txt that failed with a server error by one that forbids everything."""
        if response.status >= 500:
            response = response.replace(body=b"User-agent: *\nDisallow: /\n")
        await super()._parse_robots(response, netloc, request)

    def _robots_error(self, exc: Exception, netloc: str) -> None:
        """Store the error of an unreachable host, which fails all other requests to it."""
        super()._robots_error(exc, netloc)
        if not isinstance(exc, IgnoreRequest | DownloadCancelledError):  # the host did respond
            self._unreachable[netloc] = exc


def _slot(crawler: Crawler, request: Request) -> Slot | None:
    """Return the queue of a host; None if it has not been contacted recently."""
    downloader = crawler.engine.downloader
    slot: Slot | None = downloader.slots.get(downloader.get_slot_key(request))
    return slot


def _parse_wait(retry_after: bytes | None, default: float) -> float:
    """Return the wait in seconds of a Retry-After header, which is a number or a date."""
    try:
        return Retry().parse_retry_after((retry_after or b"").decode("latin-1"))
    except InvalidHeader:
        return default
