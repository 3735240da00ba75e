"""Limits requested by servers: waits, delays, and simultaneous requests."""

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
from outliers_bench.apps.collect.failures import classify_error
from outliers_bench.apps.collect.options import Collect
from outliers_bench.apps.collect.politeness import (
    BusyError,
    CrawlDelayMiddleware,
    RetryAfterMiddleware,
    StrictRobotsMiddleware,
    retry_after_seconds,
)
from outliers_bench.apps.collect.settings import scrapy_settings
from tests.apps.collect.web import (
    QUICK,
    encoded_photo,
    list_images,
    read_rows,
    run_collect,
    write_url_list,
)
from tests.servers import Reply, serving

URL = "http://zoo.example/lion.jpg"
pytestmark = pytest.mark.extra("collect")


def make_crawler(slot, **options):
    """Return the part of a crawler that the middlewares use."""
    settings = Settings(scrapy_settings(Collect(into="zoo", **options)))
    downloader = SimpleNamespace(
        slots={"zoo.example": slot}, get_slot_key=lambda request: "zoo.example"
    )
    crawler = SimpleNamespace(
        settings=settings,
        engine=SimpleNamespace(downloader=downloader),
        signals=SimpleNamespace(connect=lambda *_, **__: None),
    )
    crawler.stats = StatsCollector(SimpleNamespace(settings=settings))
    crawler.spider = SimpleNamespace(crawler=crawler, name="images")
    return crawler


@pytest.fixture
def setup(monkeypatch):
    """A middleware on a simulated clock, and the waits with the slot's concurrency during each."""
    monkeypatch.setattr(logging.getLogger("scrapy"), "disabled", True)
    now, waits, slot = [1000.0], [], SimpleNamespace(concurrency=2, delay=0.5, jitter=0.5)

    async def sleep(wait):
        waits.append((wait, slot.concurrency))
        now[0] += wait

    monkeypatch.setattr(politeness, "monotonic", lambda: now[0])
    monkeypatch.setattr(politeness.asyncio, "sleep", sleep)
    crawler = make_crawler(slot)
    middleware = RetryAfterMiddleware.from_crawler(crawler)
    return SimpleNamespace(waits=waits, slot=slot, middleware=middleware, crawler=crawler)


def process_response(setup, status, retries=0, **headers):
    request = Request(URL, meta={"download_slot": "zoo.example", "retry_times": retries})
    response = Response(
        URL, status=status, headers={k.replace("_", "-"): v for k, v in headers.items()}
    )
    return asyncio.run(setup.middleware.process_response(request, response))


def test_a_busy_host_is_retried_after_the_requested_wait(setup) -> None:
    retry = process_response(setup, 429, Retry_After="7")
    assert isinstance(retry, Request)
    assert retry.meta["retry_times"] == 1
    assert setup.waits == [(7.0, 0)]  # concurrency 0: no other request to the host meanwhile
    assert setup.slot.concurrency == 2


def test_waits_without_retry_after_double(setup) -> None:
    for retries in range(3):
        assert isinstance(process_response(setup, 503, retries), Request)
    assert [wait for wait, _ in setup.waits] == [2.0, 4.0, 8.0]


def test_other_requests_to_the_host_wait_too(setup) -> None:
    setup.middleware._blocked_until["zoo.example"] = 1005.0
    asyncio.run(setup.middleware.process_request(Request(URL)))
    asyncio.run(setup.middleware.process_request(Request("http://other.example/")))
    assert [wait for wait, _ in setup.waits] == [5.0]


def test_a_host_that_requests_an_hour_is_not_contacted_again(setup) -> None:
    assert process_response(setup, 503, Retry_After="3600").status == 503
    with pytest.raises(BusyError, match="requests a wait"):
        asyncio.run(setup.middleware.process_request(Request(URL)))
    assert issubclass(BusyError, IgnoreRequest)
    assert setup.waits == []


def test_no_wait_after_the_last_retry(setup) -> None:
    assert process_response(setup, 429, retries=4, Retry_After="7").status == 429
    assert setup.waits == []
    assert setup.slot.concurrency == 2


def test_retry_after_is_seconds_or_a_date() -> None:
    assert retry_after_seconds(b"17", default=2.0) == 17
    for header in (None, b"soon", b"-5"):
        assert retry_after_seconds(header, default=2.0) == 2.0
    in_a_minute = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    assert 0 < retry_after_seconds(in_a_minute.encode(), default=2.0) <= 60
    assert retry_after_seconds(b"Wed, 21 Oct 2015 07:28:00 GMT", default=2.0) == 0


def test_a_crawl_delay_is_obeyed_and_exempt_from_the_throttle(setup) -> None:
    middleware = CrawlDelayMiddleware.from_crawler(setup.crawler)
    request = Request(URL)
    middleware.robots_parsed(SimpleNamespace(crawl_delay=lambda agent: 5.0), request)
    middleware.process_request(request)
    assert (setup.slot.delay, setup.slot.jitter, setup.slot.concurrency) == (5.0, 0.0, 1)
    assert request.meta["autothrottle_dont_adjust_delay"] is True


def test_a_crawl_delay_below_the_own_delay_has_no_effect(setup) -> None:
    middleware = CrawlDelayMiddleware.from_crawler(setup.crawler)
    middleware.robots_parsed(SimpleNamespace(crawl_delay=lambda agent: 0.1), Request(URL))
    middleware.process_request(Request(URL))
    assert setup.slot.delay == 0.5


def test_a_robots_file_with_a_server_error_forbids_everything() -> None:
    robots = Request("http://zoo.example/robots.txt", meta={"dont_obey_robotstxt": True})
    middleware = StrictRobotsMiddleware(make_crawler(None))
    assert b"Disallow: /" in middleware.process_response(robots, Response(URL, status=503)).body
    missing = Response(URL, status=404)
    assert middleware.process_response(robots, missing) is missing
    image = Response(URL, status=503)
    assert middleware.process_response(Request(URL), image) is image


def test_all_requests_that_wait_for_a_robots_file_are_checked() -> None:
    crawler = make_crawler(None)
    body = b"User-agent: outliers-bench\nDisallow: /secret\n"

    async def download(request):
        await asyncio.sleep(0.01)
        return Response(request.url, body=body)

    async def parsed(**_):
        pass

    crawler.engine.download_async = download
    crawler.signals.send_catch_log_async = parsed

    async def process_requests() -> list[object]:
        middleware = StrictRobotsMiddleware(crawler)
        urls = [f"http://zoo.example/{path}" for path in ("a", "secret/b", "secret/c", "d")]
        return await asyncio.gather(
            *(middleware.process_request(Request(url)) for url in urls), return_exceptions=True
        )

    allowed, *forbidden, also_allowed = asyncio.run(process_requests())
    assert allowed is also_allowed is None
    assert [type(error) for error in forbidden] == [IgnoreRequest, IgnoreRequest]


def test_a_host_whose_robots_file_times_out_is_not_contacted_again() -> None:
    crawler, downloads = make_crawler(None), []

    async def download(request):
        downloads.append(request.url)
        raise DownloadTimeoutError("slow")

    crawler.engine.download_async = download

    async def process_requests() -> list[object]:
        middleware = StrictRobotsMiddleware(crawler)
        urls = [f"http://zoo.example/{n}.jpg" for n in range(3)]
        return await asyncio.gather(
            *(middleware.process_request(Request(url)) for url in urls), return_exceptions=True
        )

    errors = asyncio.run(process_requests())
    options = Collect(into="zoo")
    assert {classify_error(error, options) for error in errors} == {
        ("network", "took longer than timeout=30 s")
    }
    assert downloads == ["http://zoo.example/robots.txt"]


def test_an_unknown_error_has_its_type_as_reason() -> None:
    status, reason = classify_error(AttributeError("no such\nslot"), Collect(into="zoo"))
    assert (status, reason) == ("network", "AttributeError: no such slot")


def test_options_reach_scrapy() -> None:
    settings = scrapy_settings(
        Collect(into="zoo", delay=3.0, per_host=1, max_mb=2.0, contact="me@zoo.example")
    )
    assert settings["DOWNLOAD_DELAY"] == settings["AUTOTHROTTLE_START_DELAY"] == 3.0
    assert settings["CONCURRENT_REQUESTS_PER_DOMAIN"] == 1
    assert settings["DOWNLOAD_MAXSIZE"] == 2_000_000
    assert settings["USER_AGENT"].endswith(" (+me@zoo.example)")
    assert settings["ROBOTSTXT_OBEY"] is settings["DOWNLOAD_VERIFY_CERTIFICATES"] is True
    assert settings["HTTPPROXY_ENABLED"] is False
    assert scrapy_settings(Collect(into="zoo", robots=False))["ROBOTSTXT_OBEY"] is False
    unknown = [name for name in settings if name not in Settings() and name != "AUTOTHROTTLE"]
    assert unknown == []


@pytest.mark.slow
@pytest.mark.parametrize("per_host", [1, 3])
def test_the_number_of_simultaneous_requests_is_limited(tmp_path, per_host: int) -> None:
    lock, active, most = threading.Lock(), [0], [0]
    barrier = threading.Barrier(per_host)

    def answer(request):
        if request.path == "/robots.txt":
            return Reply(404)
        with lock:
            active[0] += 1
            most[0] = max(most[0], active[0])
        barrier.wait(timeout=30)  # that many requests do arrive simultaneously
        time.sleep(0.05)
        with lock:
            active[0] -= 1
        return Reply(200, encoded_photo(int(request.path[1:-4])))

    with serving(answer) as server:
        write_url_list(tmp_path / "l.csv", [(f"{server.url}/{i}.jpg", "lion") for i in range(12)])
        done = run_collect(tmp_path, "urls=l.csv", "into=zoo", f"per_host={per_host}", *QUICK)
    assert (done.code, done.err) == (0, "")
    assert most == [per_host]


@pytest.mark.slow
def test_a_temporarily_busy_server_delivers_all_images(tmp_path) -> None:
    lock, left = threading.Lock(), {429: 4, 503: 4}

    def answer(request):
        if request.path == "/robots.txt":
            return Reply(404)
        with lock:
            for status, n in left.items():
                if n:
                    left[status] -= 1
                    return Reply(status, headers={"Retry-After": "1"} if status == 429 else {})
        return Reply(200, encoded_photo(int(request.path[1:-4])))

    with serving(answer) as server:
        write_url_list(tmp_path / "l.csv", [(f"{server.url}/{i}.jpg", "lion") for i in range(30)])
        done = run_collect(tmp_path, "urls=l.csv", "into=zoo", *QUICK)
    assert (done.code, done.err) == (0, "")
    assert len(list_images(tmp_path / "zoo")) == 30


@pytest.mark.slow
def test_a_failing_robots_file_and_a_host_that_requests_an_hour(tmp_path) -> None:
    def failing(request):
        is_robots = request.path == "/robots.txt"
        return Reply(500) if is_robots else Reply(200, encoded_photo(1))

    def closed(request):
        if request.path == "/robots.txt":
            return Reply(404)
        return Reply(503, headers={"Retry-After": "3600"})

    with serving(failing) as first, serving(closed) as second:
        # Hosts are distinguished by name, not by port.
        other = second.url.replace("127.0.0.1", "localhost")
        urls = [f"{first.url}/1.jpg", *(f"{other}/{i}.jpg" for i in range(50))]
        write_url_list(tmp_path / "l.csv", [(url, "lion") for url in urls])
        done = run_collect(tmp_path, "urls=l.csv", "into=zoo", "retries=1", *QUICK)
        assert "/1.jpg" not in first.paths()
        assert len(second.paths()) < 25  # those that were in transit
    assert (done.code, done.err) == (1, "")
    statuses = {row["url"]: row["status"] for row in read_rows(tmp_path / "zoo/not_collected.csv")}
    assert statuses == {urls[0]: "robots"} | dict.fromkeys(urls[1:], "busy")
