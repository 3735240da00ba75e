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
    RetryAfterMiddleware,
    StrictRobotsMiddleware,
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
    """A middleware at a fixed time, and the queue of the host."""
    monkeypatch.setattr(logging.getLogger("scrapy"), "disabled", True)
    monkeypatch.setattr(politeness, "monotonic", lambda: 1000.0)
    slot = SimpleNamespace(lastseen=990.0)
    middleware = RetryAfterMiddleware.from_crawler(make_crawler(slot))
    return SimpleNamespace(slot=slot, middleware=middleware)


def process_response(setup, status, retries=0, **headers):
    request = Request(URL, meta={"retry_times": retries})
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    response = Response(URL, status=status, headers=headers)
    return setup.middleware.process_response(request, response)


def test_a_busy_host_is_retried_after_the_requested_wait(setup) -> None:
    retry = process_response(setup, 429, Retry_After="7")
    assert isinstance(retry, Request)
    assert retry.meta["retry_times"] == 1
    assert setup.slot.lastseen == 1007.0  # Scrapy's delay between two requests begins then
    process_response(setup, 429, Retry_After="3")
    assert setup.slot.lastseen == 1007.0


def test_waits_without_retry_after_double(setup) -> None:
    for retries, wait in enumerate([2.0, 4.0, 8.0]):
        assert isinstance(process_response(setup, 503, retries), Request)
        assert setup.slot.lastseen == 1000.0 + wait


def test_a_host_that_requests_an_hour_is_not_contacted_again(setup) -> None:
    assert process_response(setup, 503, Retry_After="3600").status == 503
    with pytest.raises(BusyError, match="requests a wait"):
        setup.middleware.process_request(Request(URL))
    setup.middleware.process_request(Request("http://other.example/"))
    assert issubclass(BusyError, IgnoreRequest)
    assert setup.slot.lastseen == 990.0


def test_no_wait_after_the_last_retry(setup) -> None:
    assert process_response(setup, 429, retries=4, Retry_After="7").status == 429
    assert setup.slot.lastseen == 990.0


def test_retry_after_is_seconds_or_a_date(setup) -> None:
    def wait(retry_after: str) -> float:
        setup.slot.lastseen = 990.0
        process_response(setup, 503, Retry_After=retry_after)
        return setup.slot.lastseen - 1000.0

    assert wait("17") == 17.0
    assert [wait(header) for header in ("soon", "-5", "")] == [2.0] * 3
    in_a_minute = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    assert 0 < wait(in_a_minute) <= 60
    assert wait("Wed, 21 Oct 2015 07:28:00 GMT") == 0


async def send_no_signal(**_: object) -> None:
    pass


def process_requests(crawler, download, *urls) -> list[object]:
    """Return the outcomes of simultaneous requests, with a download of robots.txt."""
    crawler.engine.download_async = download
    crawler.signals.send_catch_log_async = send_no_signal

    async def process() -> list[object]:
        middleware = StrictRobotsMiddleware(crawler)
        return await asyncio.gather(
            *(middleware.process_request(Request(url)) for url in urls), return_exceptions=True
        )

    return asyncio.run(process())


@pytest.mark.parametrize(("requested", "delay"), [(5, 5.0), (0.1, 0.5)])
def test_a_crawl_delay_above_the_own_delay_is_obeyed(requested, delay) -> None:
    slot = SimpleNamespace(concurrency=2, delay=0.5, jitter=0.5)

    async def download(request):
        return Response(request.url, body=f"User-agent: *\nCrawl-delay: {requested}\n".encode())

    assert process_requests(make_crawler(slot), download, URL) == [None]
    obeyed = delay > 0.5
    assert (slot.delay, slot.jitter, slot.concurrency) == (
        (delay, 0.0, 1) if obeyed else (0.5, 0.5, 2)
    )


@pytest.mark.parametrize("status", [404, 503])
def test_a_robots_file_with_a_server_error_forbids_everything(status: int) -> None:
    async def download(request):
        return Response(request.url, status=status)

    (outcome,) = process_requests(make_crawler(None), download, URL)
    assert isinstance(outcome, IgnoreRequest) == (status == 503)


def test_all_requests_that_wait_for_a_robots_file_are_checked() -> None:
    async def download(request):
        await asyncio.sleep(0.01)
        return Response(request.url, body=b"User-agent: outliers-bench\nDisallow: /secret\n")

    urls = [f"http://zoo.example/{path}" for path in ("a", "secret/b", "secret/c", "d")]
    allowed, *forbidden, also_allowed = process_requests(make_crawler(None), download, *urls)
    assert allowed is also_allowed is None
    assert [type(error) for error in forbidden] == [IgnoreRequest, IgnoreRequest]


def test_a_host_whose_robots_file_times_out_is_not_contacted_again() -> None:
    downloads = []

    async def download(request):
        downloads.append(request.url)
        raise DownloadTimeoutError("slow")

    urls = [f"http://zoo.example/{n}.jpg" for n in range(3)]
    errors = process_requests(make_crawler(None), download, *urls)
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
