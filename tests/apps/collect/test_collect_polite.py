"""What servers ask for is kept to: waits, pauses, and how many requests at a time."""

import asyncio
import logging
import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import SimpleNamespace

import pytest

pytest.importorskip("scrapy")
from scrapy.exceptions import DownloadTimeoutError, IgnoreRequest
from scrapy.http import Request, Response
from scrapy.settings import Settings
from scrapy.statscollectors import StatsCollector

from outliers_bench.apps.collect import politeness
from outliers_bench.apps.collect.failures import of_error
from outliers_bench.apps.collect.options import Collect
from outliers_bench.apps.collect.politeness import (
    BusyError,
    CrawlDelay,
    Patience,
    StrictRobots,
    seconds,
)
from outliers_bench.apps.collect.settings import settings
from tests.apps.collect.web import QUICK, collect, images, photo, rows, write_list
from tests.servers import Reply, serving

URL = "http://zoo.example/lion.jpg"
pytestmark = pytest.mark.extra("collect")


def crawler_with(slot, **chosen):
    """As much of a crawler as the middlewares look at."""
    values = Settings(settings(Collect(into="zoo", **chosen)))
    downloader = SimpleNamespace(
        slots={"zoo.example": slot}, get_slot_key=lambda request: "zoo.example"
    )
    crawler = SimpleNamespace(
        settings=values,
        engine=SimpleNamespace(downloader=downloader),
        signals=SimpleNamespace(connect=lambda *_, **__: None),
    )
    crawler.stats = StatsCollector(SimpleNamespace(settings=values))
    crawler.spider = SimpleNamespace(crawler=crawler, name="images")
    return crawler


@pytest.fixture
def slept(monkeypatch):
    """The middlewares' time passes only while they wait; what the slot was like meanwhile."""
    monkeypatch.setattr(logging.getLogger("scrapy"), "disabled", True)
    now, naps, slot = [1000.0], [], SimpleNamespace(concurrency=2, delay=0.5, jitter=0.5)

    async def sleep(wait):
        naps.append((wait, slot.concurrency))
        now[0] += wait

    monkeypatch.setattr(politeness, "monotonic", lambda: now[0])
    monkeypatch.setattr(politeness.asyncio, "sleep", sleep)
    crawler = crawler_with(slot)
    patience = Patience.from_crawler(crawler)
    return SimpleNamespace(naps=naps, slot=slot, patience=patience, crawler=crawler)


def answered(slept, status, retries=0, **headers):
    request = Request(URL, meta={"download_slot": "zoo.example", "retry_times": retries})
    response = Response(
        URL, status=status, headers={k.replace("_", "-"): v for k, v in headers.items()}
    )
    return asyncio.run(slept.patience.process_response(request, response))


def test_a_busy_host_is_left_alone_as_long_as_it_says(slept) -> None:
    again = answered(slept, 429, Retry_After="7")
    assert isinstance(again, Request)
    assert again.meta["retry_times"] == 1
    assert slept.naps == [(7.0, 0)]  # and nothing else of the host was let through meanwhile
    assert slept.slot.concurrency == 2


def test_waits_grow_where_a_host_does_not_say_how_long(slept) -> None:
    for retries in range(3):
        assert isinstance(answered(slept, 503, retries), Request)
    assert [wait for wait, _ in slept.naps] == [2.0, 4.0, 8.0]


def test_other_requests_to_the_host_wait_too(slept) -> None:
    slept.patience._until["zoo.example"] = 1005.0
    asyncio.run(slept.patience.process_request(Request(URL)))
    asyncio.run(slept.patience.process_request(Request("http://other.example/")))
    assert [wait for wait, _ in slept.naps] == [5.0]


def test_a_host_that_asks_for_an_hour_is_not_asked_again(slept) -> None:
    assert answered(slept, 503, Retry_After="3600").status == 503
    with pytest.raises(BusyError, match="left alone"):
        asyncio.run(slept.patience.process_request(Request(URL)))
    assert issubclass(BusyError, IgnoreRequest)
    assert slept.naps == []


def test_after_the_last_retry_nobody_waits(slept) -> None:
    assert answered(slept, 429, retries=4, Retry_After="7").status == 429
    assert slept.naps == []
    assert slept.slot.concurrency == 2


def test_retry_after_is_seconds_or_a_date() -> None:
    assert seconds(b"17", 2.0) == 17
    assert seconds(None, 2.0) == seconds(b"soon", 2.0) == seconds(b"-5", 2.0) == 2.0
    in_a_minute = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    assert 0 < seconds(in_a_minute.encode(), 2.0) <= 60
    assert seconds(b"Wed, 21 Oct 2015 07:28:00 GMT", 2.0) == 0


def test_a_crawl_delay_is_kept_and_the_throttle_does_not_touch_it(slept) -> None:
    delays = CrawlDelay.from_crawler(slept.crawler)
    request = Request(URL)
    delays.robots_parsed(SimpleNamespace(crawl_delay=lambda agent: 5.0), request)
    delays.process_request(request)
    assert (slept.slot.delay, slept.slot.jitter, slept.slot.concurrency) == (5.0, 0.0, 1)
    assert request.meta["autothrottle_dont_adjust_delay"] is True


def test_a_shorter_crawl_delay_than_ours_changes_nothing(slept) -> None:
    delays = CrawlDelay.from_crawler(slept.crawler)
    delays.robots_parsed(SimpleNamespace(crawl_delay=lambda agent: 0.1), Request(URL))
    delays.process_request(Request(URL))
    assert slept.slot.delay == 0.5


def test_robots_that_cannot_be_had_forbid_all() -> None:
    robots = Request("http://zoo.example/robots.txt", meta={"dont_obey_robotstxt": True})
    strict = StrictRobots(crawler_with(None))
    assert b"Disallow: /" in strict.process_response(robots, Response(URL, status=503)).body
    missing = Response(URL, status=404)
    assert strict.process_response(robots, missing) is missing
    image = Response(URL, status=503)
    assert strict.process_response(Request(URL), image) is image


def test_all_that_wait_for_a_robots_file_are_checked() -> None:
    crawler = crawler_with(None)
    body = b"User-agent: outliers-bench\nDisallow: /secret\n"

    async def download(request):
        await asyncio.sleep(0.01)
        return Response(request.url, body=body)

    async def parsed(**_):
        pass

    crawler.engine.download_async = download
    crawler.signals.send_catch_log_async = parsed

    async def ask() -> list[object]:
        strict = StrictRobots(crawler)
        urls = [f"http://zoo.example/{path}" for path in ("a", "secret/b", "secret/c", "d")]
        return await asyncio.gather(
            *(strict.process_request(Request(url)) for url in urls), return_exceptions=True
        )

    allowed, *forbidden, also_allowed = asyncio.run(ask())
    assert allowed is also_allowed is None
    assert [type(error) for error in forbidden] == [IgnoreRequest, IgnoreRequest]


def test_a_host_whose_robots_file_nobody_gets_is_not_asked() -> None:
    crawler, downloads = crawler_with(None), []

    async def download(request):
        downloads.append(request.url)
        raise DownloadTimeoutError("slow")

    crawler.engine.download_async = download

    async def ask() -> list[object]:
        strict = StrictRobots(crawler)
        urls = [f"http://zoo.example/{n}.jpg" for n in range(3)]
        return await asyncio.gather(
            *(strict.process_request(Request(url)) for url in urls), return_exceptions=True
        )

    found = asyncio.run(ask())
    options = Collect(into="zoo")
    assert {of_error(error, options) for error in found} == {
        ("network", "took longer than timeout=30 s")
    }
    assert downloads == ["http://zoo.example/robots.txt"]


def test_what_nobody_foresaw_is_called_by_its_name() -> None:
    status, why = of_error(AttributeError("no such\nslot"), Collect(into="zoo"))
    assert (status, why) == ("network", "AttributeError: no such slot")


def test_options_reach_scrapy() -> None:
    chosen = settings(
        Collect(into="zoo", delay=3.0, per_host=1, max_mb=2.0, contact="me@zoo.example")
    )
    assert chosen["DOWNLOAD_DELAY"] == chosen["AUTOTHROTTLE_START_DELAY"] == 3.0
    assert chosen["CONCURRENT_REQUESTS_PER_DOMAIN"] == 1
    assert chosen["DOWNLOAD_MAXSIZE"] == 2_000_000
    assert chosen["USER_AGENT"].endswith(" (+me@zoo.example)")
    assert chosen["ROBOTSTXT_OBEY"] is chosen["DOWNLOAD_VERIFY_CERTIFICATES"] is True
    assert chosen["HTTPPROXY_ENABLED"] is False
    assert settings(Collect(into="zoo", robots=False))["ROBOTSTXT_OBEY"] is False
    unknown = [name for name in chosen if name not in Settings() and name != "AUTOTHROTTLE"]
    assert unknown == []


@pytest.mark.slow
@pytest.mark.parametrize("per_host", [1, 3])
def test_no_more_at_a_time_than_allowed(tmp_path, per_host: int) -> None:
    lock, on_the_way, most = threading.Lock(), [0], [0]
    all_there = threading.Barrier(per_host)

    def answer(asked):
        if asked.path == "/robots.txt":
            return Reply(404)
        with lock:
            on_the_way[0] += 1
            most[0] = max(most[0], on_the_way[0])
        all_there.wait(timeout=30)  # so many do come at the same time
        time.sleep(0.05)
        with lock:
            on_the_way[0] -= 1
        return Reply(200, photo(int(asked.path[1:-4])))

    with serving(answer) as server:
        write_list(tmp_path / "l.csv", [(f"{server.url}/{i}.jpg", "lion") for i in range(12)])
        done = collect(tmp_path, "urls=l.csv", "into=zoo", f"per_host={per_host}", *QUICK)
    assert (done.code, done.err) == (0, "")
    assert most == [per_host]


@pytest.mark.slow
def test_a_server_that_is_busy_for_a_while_gives_all_in_the_end(tmp_path) -> None:
    lock, left = threading.Lock(), {429: 4, 503: 4}

    def answer(asked):
        if asked.path == "/robots.txt":
            return Reply(404)
        with lock:
            for status, n in left.items():
                if n:
                    left[status] -= 1
                    return Reply(status, headers={"Retry-After": "1"} if status == 429 else {})
        return Reply(200, photo(int(asked.path[1:-4])))

    with serving(answer) as server:
        write_list(tmp_path / "l.csv", [(f"{server.url}/{i}.jpg", "lion") for i in range(30)])
        done = collect(tmp_path, "urls=l.csv", "into=zoo", *QUICK)
    assert (done.code, done.err) == (0, "")
    assert len(images(tmp_path / "zoo")) == 30


@pytest.mark.slow
def test_a_broken_robots_file_and_a_host_that_asks_for_an_hour(tmp_path) -> None:
    def broken(asked):
        return Reply(500) if asked.path == "/robots.txt" else Reply(200, photo(1))

    def closed(asked):
        if asked.path == "/robots.txt":
            return Reply(404)
        return Reply(503, headers={"Retry-After": "3600"})

    with serving(broken) as first, serving(closed) as second:
        # Hosts are told apart by name, not by port.
        other = second.url.replace("127.0.0.1", "localhost")
        urls = [f"{first.url}/1.jpg", *(f"{other}/{i}.jpg" for i in range(50))]
        write_list(tmp_path / "l.csv", [(url, "lion") for url in urls])
        done = collect(tmp_path, "urls=l.csv", "into=zoo", "retries=1", *QUICK)
        assert "/1.jpg" not in first.paths()
        assert len(second.paths()) < 25  # those that were on their way
    assert (done.code, done.err) == (1, "")
    became = {row["url"]: row["status"] for row in rows(tmp_path / "zoo/not_collected.csv")}
    assert became == {urls[0]: "robots"} | dict.fromkeys(urls[1:], "busy")
