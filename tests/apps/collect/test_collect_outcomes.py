"""One crawl of a list with every outcome, and the requests that the next crawl repeats."""

import asyncio
import gzip
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from types import SimpleNamespace

import pytest
from PIL import Image

from outliers_bench.apps.collect.failures import COLLECTED
from outliers_bench.apps.collect.options import Collect
from outliers_bench.apps.collect.url_list import ListedImage
from tests.apps.collect.web import (
    QUICK,
    encoded_photo,
    list_images,
    read_rows,
    run_collect,
    wait_until,
    write_url_list,
)
from tests.servers import ReceivedRequest, Reply, serving

LION = encoded_photo(1)
HTML = b"<!DOCTYPE html><html><body>Please log in</body></html>"


def huge_png() -> bytes:
    """Return a small PNG whose header declares 100,000 x 100,000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(b"")), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def truncated_photo() -> bytes:
    data = encoded_photo(7)
    return data[: len(data) // 2]


REPLIES = {
    "/robots.txt": Reply(200, b"User-agent: outliers-bench\nDisallow: /secret\n"),
    "/lion.jpg": Reply(200, LION),
    "/lion-again.jpg?size=full": Reply(200, LION),
    "/lion-as-tiger.jpg": Reply(200, LION),
    "/a/..%2f..%2fevil.php?f=../../x.jpg": Reply(200, encoded_photo(2)),
    "/%C3%BC.jpg": Reply(200, encoded_photo(3)),
    "/really-a-gif.jpg": Reply(
        200, encoded_photo(4, suffix=".gif"), {"Content-Type": "text/plain"}
    ),
    "/moved.jpg": Reply(302, headers={"Location": "/target.jpg"}),
    "/target.jpg": Reply(200, encoded_photo(5)),
    "/circle.jpg": Reply(302, headers={"Location": "/circle.jpg"}),
    "/to-a-file.jpg": Reply(302, headers={"Location": "file:///etc/passwd"}),
    **{f"/secret/{i}.jpg": Reply(200, encoded_photo(60 + i)) for i in range(8)},
    "/login.jpg": Reply(200, HTML, {"Content-Type": "image/jpeg"}),
    "/cut.jpg": Reply(200, truncated_photo(), {"Content-Type": "image/jpeg"}),
    "/breaks-off.jpg": Reply(200, encoded_photo(8), stop_after=500),
    "/ends.jpg": Reply(200, truncated_photo(), {"Content-Length": None}),
    "/icon.png": Reply(200, encoded_photo(9, side=16, suffix=".png")),
    "/large.jpg": Reply(200, b"\xff" * 300_000),
    "/endless.jpg": Reply(200, b"\xff" * 300_000, {"Content-Length": None}),
    "/pixels.png": Reply(200, huge_png()),
    "/bomb.jpg": Reply(200, gzip.compress(bytes(30_000_000)), {"Content-Encoding": "gzip"}),
    "/empty.jpg": Reply(200, b""),
    "/broken.jpg": Reply(500),
    "/403.jpg": Reply(403),
}

EXPECTED = {
    "/lion.jpg": COLLECTED,
    **{f"/secret/{i}.jpg": "robots" for i in range(8)},  # all wait for robots.txt
    "/lion-again.jpg?size=full": "same",
    "/lion-as-tiger.jpg": "other_label",
    "/a/..%2f..%2fevil.php?f=../../x.jpg": COLLECTED,
    "/ü.jpg": COLLECTED,
    "/really-a-gif.jpg": COLLECTED,
    "/moved.jpg": COLLECTED,
    "/circle.jpg": "redirects",
    "/to-a-file.jpg": "gone",
    "/login.jpg": "not_an_image",
    "/cut.jpg": "damaged",
    "/breaks-off.jpg": "network",
    "/ends.jpg": "network",
    "/icon.png": "too_small",
    "/large.jpg": "too_large",
    "/endless.jpg": "too_large",
    "/pixels.png": "too_large",
    "/bomb.jpg": "too_large",
    "/empty.jpg": "not_an_image",
    "/broken.jpg": "busy",
    "/403.jpg": "gone",
    "/404.jpg": "gone",
}
OTHER_HOSTS = {
    "file:///etc/passwd": "address",
    "ftp://zoo.example/lion.jpg": "address",
    "http://": "address",
    "http://[::1/lion.jpg": "address",
    "no address at all": "address",
    "http://zoo..example/lion.jpg": "address",
    "http://the zoo.example/lion.jpg": "address",
    "https://keeper:secret@zoo.example/lion.jpg": "address",
    "http://zoo.invalid/lion.jpg": "network",
}
pytestmark = pytest.mark.extra("collect")
OPTIONS = ("urls=list.csv", "into=zoo", "retries=1", "max_mb=0.25", "per_host=8", *QUICK)
DUPLICATES = ("/lion-again.jpg?size=full", "/lion-as-tiger.jpg")


def label_of(url: str) -> str:
    return "../tiger: 虎" if "tiger" in url or "ü" in url else "lion"


@pytest.fixture(scope="module")
def crawled(tmp_path_factory):
    """The folder after a crawl, and the requests that the server received."""
    cwd = tmp_path_factory.mktemp("collected")
    table = cwd / "zoo/collected.csv"

    def answer(request: ReceivedRequest) -> Reply:
        if request.path in DUPLICATES:  # the lion must be collected first
            wait_until(lambda: "/lion.jpg" in {row["url"][-9:] for row in read_rows(table)})
        return REPLIES.get(request.path, Reply(404))

    with serving(answer) as server:
        listed = {f"{server.url}{path}": status for path, status in EXPECTED.items()} | OTHER_HOSTS
        write_url_list(cwd / "list.csv", [(url, label_of(url)) for url in listed])
        done = run_collect(cwd, *OPTIONS)
        requested = server.paths()
        collected, rejected = read_rows(table), read_rows(cwd / "zoo/not_collected.csv")
        yield {
            "server": server,
            "url": server.url,
            "listed": listed,
            "done": done,
            "folder": cwd / "zoo",
            "collected": collected,
            "rejected": rejected,
            "requested": requested,
            "user_agents": {each.headers["user-agent"] for each in server.requests},
        }


def test_each_url_has_its_status(crawled) -> None:
    rows = (*crawled["collected"], *crawled["rejected"])
    assert {row["url"]: row["status"] for row in rows} == crawled["listed"]
    assert len(rows) == len(crawled["listed"])
    assert (crawled["done"].code, crawled["done"].err) == (1, "")


def test_reasons(crawled) -> None:
    reasons = {
        row["url"].removeprefix(crawled["url"]): row["reason"] for row in crawled["rejected"]
    }
    assert reasons["/login.jpg"].endswith("but a web page")
    assert reasons["/404.jpg"] == "404 Not Found"
    assert reasons["/icon.png"] == "16 x 16 pixels, less than min_side=64"
    assert reasons["/large.jpg"] == "more than max_mb=0.25"
    assert reasons["/pixels.png"].startswith("100000 x 100000 pixels, more than")
    assert reasons["/lion-as-tiger.jpg"].endswith(", labeled lion")
    assert reasons["http://zoo.invalid/lion.jpg"] == "host not found, or no network"
    assert "secret" not in reasons["https://keeper:secret@zoo.example/lion.jpg"]


def test_files_are_named_by_content_in_class_folders(crawled) -> None:
    files = list_images(crawled["folder"])
    assert sorted(row["path"] for row in crawled["collected"]) == files
    assert {path.partition("/")[0] for path in files} == {"lion", "_tiger_ 虎-2166e641"}
    by_url = {row["url"].removeprefix(crawled["url"]): row for row in crawled["collected"]}
    assert by_url["/really-a-gif.jpg"]["path"].endswith(".gif")
    assert by_url["/moved.jpg"]["final_url"] == f"{crawled['url']}/target.jpg"
    for row in crawled["collected"]:
        stem = row["path"].rpartition("/")[2].partition(".")[0]
        assert row["sha256"].startswith(stem)
        file = crawled["folder"] / row["path"]
        assert file.stat().st_size == int(row["bytes"])
        with Image.open(file) as image:
            assert image.size == (int(row["width"]), int(row["height"])) == (80, 80)
    assert sorted(p.name for p in crawled["folder"].iterdir() if p.is_file()) == [
        ".collecting.lock",
        "collected.csv",
        "not_collected.csv",
    ]


def test_forbidden_images_are_not_requested(crawled) -> None:
    assert crawled["requested"][0] == "/robots.txt"
    assert not [path for path in crawled["requested"] if path.startswith("/secret")]
    assert len(crawled["user_agents"]) == 1
    assert crawled["user_agents"].pop().startswith("outliers-bench/")


@pytest.mark.slow
def test_only_transient_failures_are_retried(crawled) -> None:
    before = len(crawled["server"].requests)
    assert run_collect(crawled["folder"].parent, *OPTIONS).code == 1
    requested = {path for path in crawled["server"].paths()[before:] if path != "/robots.txt"}
    assert requested == {"/breaks-off.jpg", "/ends.jpg", "/broken.jpg"}
    before = len(crawled["server"].requests)
    assert run_collect(crawled["folder"].parent, *OPTIONS, "again=true").code == 1
    requested = {path for path in crawled["server"].paths()[before:] if path != "/robots.txt"}
    assert {"/404.jpg", "/icon.png", "/login.jpg"} <= requested
    assert not requested & {"/lion.jpg", "/target.jpg", "/secret/1.jpg"}


def test_the_summary_counts_all_images(crawled) -> None:
    lines = crawled["done"].out.splitlines()
    counts = {line[:34].strip(): int(line[34:]) for line in lines if line[34:].strip().isdigit()}
    assert counts["collected"] == len(crawled["collected"])
    assert counts["already collected"] == 0
    failures = [s for s in crawled["listed"].values() if s not in (COLLECTED, "same")]
    assert counts["not collected"] == len(failures)
    assert counts["damaged image"] == 1
    assert f"    {crawled['url']}/404.jpg: 404 Not Found" in lines


def test_the_number_of_simultaneous_decodings_is_limited(monkeypatch) -> None:
    from scrapy.http import Request, Response

    from outliers_bench.apps.collect import spider as spiders

    active, most, finish = [0], [0], Event()

    def check_image(*_, **__):
        active[0] += 1
        most[0] = max(most[0], active[0])
        finish.wait(30)
        active[0] -= 1
        raise spiders.RejectedImageError("damaged", "is a JPEG cut short")

    monkeypatch.setattr(spiders, "check_image", check_image)
    monkeypatch.setattr(spiders, "cores", lambda: 64)
    rejected: list[str] = []
    collection = SimpleNamespace(reject=lambda image, status, reason, **_: rejected.append(status))
    options = Collect(into="zoo")
    spider = spiders.ImageSpider(
        pending=[], collection=collection, options=options, on_image=lambda: None
    )
    response = Response("http://a/1.jpg", request=Request("http://a/1.jpg"))
    image = ListedImage("http://a/1.jpg", "lion")

    async def crawl() -> None:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(16))
        tasks = [asyncio.ensure_future(spider.parse_image(response, image)) for _ in range(16)]
        await asyncio.to_thread(wait_until, lambda: active[0] == 4)
        finish.set()
        await asyncio.gather(*tasks)

    asyncio.run(crawl())
    assert most == [4]
    assert rejected == ["damaged"] * 16
