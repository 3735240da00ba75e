"""Manners beyond Scrapy's own: Retry-After, Crawl-delay, and a robots.txt that is out of order."""

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

from outliers_bench.apps.collect.settings import ROBOT

LONGEST_WAIT = 120.0
"""Seconds; a host that asks for more is left alone for the rest of the run."""

FIRST_WAIT = 2.0
"""Seconds before the first retry at a busy host that does not say how long; then twice as many."""

_BUSY = (429, 503)


class BusyError(IgnoreRequest):
    """A host asks to be left alone for longer than a run waits."""


class Patience(RetryMiddleware):
    """Retries as Scrapy's, but waits as long as a busy host says (RFC 9110, 10.2.3).

    Meanwhile nothing is asked of that host, as far as it is not on its way already.
    """

    def __init__(self, settings: Any) -> None:  # noqa: ANN401 - as Scrapy has it
        super().__init__(settings)
        self._until: dict[str, float] = {}

    async def process_request(self, request: Request) -> None:
        """Hold back a request while its host wants to be left alone."""
        await self._wait(_host(request))

    async def process_response(  # type: ignore[override]
        self, request: Request, response: Response
    ) -> Request | Response:
        """Retry a failure that may pass; after a busy answer, later."""
        if response.status not in _BUSY:
            answer: Request | Response = super().process_response(request, response)
            return answer
        tried = request.meta.get("retry_times", 0)
        wait = seconds(response.headers.get("Retry-After"), FIRST_WAIT * 2**tried)
        host = _host(request)
        if wait > LONGEST_WAIT:
            self._until[host] = math.inf
            return response
        again = self._retry(request, f"{response.status}")
        if again is None:
            return response
        self._until[host] = max(self._until.get(host, 0.0), monotonic() + wait)
        slot = self.crawler.engine.downloader.slots.get(request.meta.get("download_slot", ""))
        # Scrapy looks at the queue again when the retry enters it.
        if slot is not None:
            slot.concurrency = 0
        await self._wait(host)
        if slot is not None:
            slot.concurrency = self.crawler.settings.getint("CONCURRENT_REQUESTS_PER_DOMAIN")
        return again

    async def _wait(self, host: str) -> None:
        while (left := self._until.get(host, 0.0) - monotonic()) > 0:
            if left == math.inf:
                raise BusyError(f"the host asks to be left alone for over {LONGEST_WAIT:.0f} s")
            await asyncio.sleep(left)


class CrawlDelay:
    """Keeps the pause between requests that a host's robots.txt asks for."""

    def __init__(self, crawler: Crawler) -> None:
        self._crawler = crawler
        self._delays: dict[str, float] = {}
        crawler.signals.connect(self.robots_parsed, signal=signals.robots_parsed)

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> CrawlDelay:
        """Made by Scrapy."""
        return cls(crawler)

    def robots_parsed(self, robotparser: RobotParser, request: Request) -> None:
        """Remember what a robots.txt asks for."""
        delay = robotparser.crawl_delay(ROBOT)
        if delay is not None and delay > self._crawler.settings.getfloat("DOWNLOAD_DELAY"):
            self._delays[_host(request)] = min(delay, LONGEST_WAIT)

    def process_request(self, request: Request) -> None:
        """Set the pause where it is not the throttle's to choose."""
        delay = self._delays.get(_host(request))
        if delay is None:
            return
        request.meta["autothrottle_dont_adjust_delay"] = True
        downloader = self._crawler.engine.downloader
        slot = downloader.slots.get(downloader.get_slot_key(request))
        if slot is not None:
            slot.delay, slot.jitter, slot.concurrency = delay, 0.0, 1


class StrictRobots(RobotsTxtMiddleware):
    """Scrapy's, but nobody gets past it while robots.txt is on its way, or where it cannot be had.

    A server that fails, or does not answer, forbids all (RFC 9309, 2.3.1.4).

    Of several requests that wait for one robots.txt, Scrapy 2.19 checks one alone: all of them
    await the same Deferred, and the first to do so leaves None in it for the rest.
    """

    def __init__(self, crawler: Crawler) -> None:
        super().__init__(crawler)
        self._one_at_a_time: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._unreachable: dict[str, Exception] = {}

    async def robot_parser(self, request: Request) -> RobotParser | None:
        """The rules of a host; None if it has none, and what went wrong if nobody can tell."""
        host = urlsplit(request.url).netloc
        async with self._one_at_a_time[host]:
            rules = await super().robot_parser(request)
        if host in self._unreachable:
            raise self._unreachable[host].with_traceback(None)
        return rules

    def _robots_error(self, exc: Exception, netloc: str) -> None:
        """Remember that a host cannot be reached: nothing else is asked of it."""
        super()._robots_error(exc, netloc)
        if not isinstance(exc, IgnoreRequest | DownloadCancelledError):  # answers, of a kind
            self._unreachable[netloc] = exc

    def process_response(self, request: Request, response: Response) -> Response:
        """Take a robots.txt that a server cannot give as forbidding all."""
        # The mark that Scrapy puts on its own requests; ours never have it.
        if request.meta.get("dont_obey_robotstxt") and response.status >= 500:
            return response.replace(body=b"User-agent: *\nDisallow: /\n")
        return response


def seconds(retry_after: bytes | None, otherwise: float) -> float:
    """What a Retry-After header says: a number of seconds, or a date."""
    text = (retry_after or b"").decode("latin-1").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        when = parsedate_to_datetime(text)
    except ValueError:
        return otherwise
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return max((when - datetime.now(UTC)).total_seconds(), 0.0)


def _host(request: Request) -> str:
    return urlsplit(request.url).hostname or ""
