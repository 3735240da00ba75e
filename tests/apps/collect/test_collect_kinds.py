"""One crawl through everything that a list can lead to, and what the next one asks again."""

import asyncio
import gzip
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from types import SimpleNamespace

import pytest
from PIL import Image

from outliers_bench.apps.collect.options import Collect
from outliers_bench.apps.collect.url_list import Wanted
from tests.apps.collect.web import QUICK, collect, images, photo, rows, until, write_list
from tests.servers import ReceivedRequest, Reply, serving

LION = photo(1)
HTML = b"<!DOCTYPE html><html><body>Please log in</body></html>"


def huge_png() -> bytes:
    """A PNG of 100,000 x 100,000 pixels in a few bytes, as far as its header goes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(b"")), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def damaged() -> bytes:
    data = photo(7)
    return data[: len(data) // 2]


ANSWERS = {
    "/robots.txt": Reply(200, b"User-agent: outliers-bench\nDisallow: /secret\n"),
    "/lion.jpg": Reply(200, LION),
    "/lion-again.jpg?size=full": Reply(200, LION),
    "/lion-as-tiger.jpg": Reply(200, LION),
    "/a/..%2f..%2fevil.php?f=../../x.jpg": Reply(200, photo(2)),
    "/%C3%BC.jpg": Reply(200, photo(3)),
    "/really-a-gif.jpg": Reply(200, photo(4, kind=".gif"), {"Content-Type": "text/plain"}),
    "/moved.jpg": Reply(302, headers={"Location": "/target.jpg"}),
    "/target.jpg": Reply(200, photo(5)),
    "/circle.jpg": Reply(302, headers={"Location": "/circle.jpg"}),
    "/to-a-file.jpg": Reply(302, headers={"Location": "file:///etc/passwd"}),
    **{f"/secret/{i}.jpg": Reply(200, photo(60 + i)) for i in range(8)},
    "/login.jpg": Reply(200, HTML, {"Content-Type": "image/jpeg"}),
    "/cut.jpg": Reply(200, damaged(), {"Content-Type": "image/jpeg"}),
    "/breaks-off.jpg": Reply(200, photo(8), stop_after=500),
    "/ends.jpg": Reply(200, damaged(), {"Content-Length": None}),
    "/icon.png": Reply(200, photo(9, side=16, kind=".png")),
    "/large.jpg": Reply(200, b"\xff" * 300_000),
    "/endless.jpg": Reply(200, b"\xff" * 300_000, {"Content-Length": None}),
    "/pixels.png": Reply(200, huge_png()),
    "/bomb.jpg": Reply(200, gzip.compress(bytes(30_000_000)), {"Content-Encoding": "gzip"}),
    "/empty.jpg": Reply(200, b""),
    "/broken.jpg": Reply(500),
    "/403.jpg": Reply(403),
}

EXPECTED = {
    "/lion.jpg": "kept",
    **{f"/secret/{i}.jpg": "robots" for i in range(8)},  # all of them while it is on its way
    "/lion-again.jpg?size=full": "same",
    "/lion-as-tiger.jpg": "other_label",
    "/a/..%2f..%2fevil.php?f=../../x.jpg": "kept",
    "/ü.jpg": "kept",
    "/really-a-gif.jpg": "kept",
    "/moved.jpg": "kept",
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
OTHERS = {
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
COPIES = ("/lion-again.jpg?size=full", "/lion-as-tiger.jpg")


def label(url: str) -> str:
    return "../tiger: 虎" if "tiger" in url or "ü" in url else "lion"


@pytest.fixture(scope="module")
def crawled(tmp_path_factory):
    """The folder after a crawl, and what the server was asked in it."""
    cwd = tmp_path_factory.mktemp("collected")
    table = cwd / "zoo/collected.csv"

    def answer(asked: ReceivedRequest) -> Reply:
        if asked.path in COPIES:  # the lion comes first
            until(lambda: "/lion.jpg" in {row["url"][-9:] for row in rows(table)})
        return ANSWERS.get(asked.path, Reply(404))

    with serving(answer) as server:
        listed = {f"{server.url}{path}": status for path, status in EXPECTED.items()} | OTHERS
        write_list(cwd / "list.csv", [(url, label(url)) for url in listed])
        done = collect(cwd, *OPTIONS)
        asked = server.paths()
        kept, other = rows(table), rows(cwd / "zoo/not_collected.csv")
        yield {
            "server": server,
            "url": server.url,
            "listed": listed,
            "done": done,
            "folder": cwd / "zoo",
            "kept": kept,
            "other": other,
            "asked": asked,
            "agents": {each.headers["user-agent"] for each in server.requests},
        }


def test_each_url_ends_as_what_it_is(crawled) -> None:
    became = {row["url"]: row["status"] for row in (*crawled["kept"], *crawled["other"])}
    assert became == crawled["listed"]
    assert len(crawled["kept"]) + len(crawled["other"]) == len(became)
    assert (crawled["done"].code, crawled["done"].err) == (1, "")


def test_reasons_say_why(crawled) -> None:
    reasons = {row["url"].removeprefix(crawled["url"]): row["reason"] for row in crawled["other"]}
    assert reasons["/login.jpg"].endswith("but a web page")
    assert reasons["/404.jpg"] == "404 Not Found"
    assert reasons["/icon.png"] == "16 x 16 pixels, less than min_side=64"
    assert reasons["/large.jpg"] == "more than max_mb=0.25"
    assert reasons["/pixels.png"].startswith("100000 x 100000 pixels, more than")
    assert reasons["/lion-as-tiger.jpg"].endswith("which is lion")
    assert reasons["http://zoo.invalid/lion.jpg"] == "there is no such host, or no network"
    assert "secret" not in reasons["https://keeper:secret@zoo.example/lion.jpg"]


def test_files_are_named_by_content_inside_their_folder(crawled) -> None:
    files = images(crawled["folder"])
    assert sorted(row["path"] for row in crawled["kept"]) == files
    assert {path.partition("/")[0] for path in files} == {"lion", "_tiger_ 虎-2166e641"}
    by_url = {row["url"].removeprefix(crawled["url"]): row for row in crawled["kept"]}
    assert by_url["/really-a-gif.jpg"]["path"].endswith(".gif")
    assert by_url["/moved.jpg"]["final_url"] == f"{crawled['url']}/target.jpg"
    for row in crawled["kept"]:
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


def test_what_is_forbidden_is_not_asked_for(crawled) -> None:
    assert crawled["asked"][0] == "/robots.txt"
    assert not [path for path in crawled["asked"] if path.startswith("/secret")]
    assert len(crawled["agents"]) == 1
    assert crawled["agents"].pop().startswith("outliers-bench/")


@pytest.mark.slow
def test_only_what_may_pass_is_asked_for_again(crawled) -> None:
    before = len(crawled["server"].requests)
    assert collect(crawled["folder"].parent, *OPTIONS).code == 1
    tried = {path for path in crawled["server"].paths()[before:] if path != "/robots.txt"}
    assert tried == {"/breaks-off.jpg", "/ends.jpg", "/broken.jpg"}
    before = len(crawled["server"].requests)
    assert collect(crawled["folder"].parent, *OPTIONS, "again=true").code == 1
    tried = {path for path in crawled["server"].paths()[before:] if path != "/robots.txt"}
    assert {"/404.jpg", "/icon.png", "/login.jpg"} <= tried
    assert not tried & {"/lion.jpg", "/target.jpg", "/secret/1.jpg"}


def test_the_table_at_the_end_counts_all(crawled) -> None:
    lines = crawled["done"].out.splitlines()
    counted = {line[:34].strip(): int(line[34:]) for line in lines if line[34:].strip().isdigit()}
    assert counted["collected"] == len(crawled["kept"])
    assert counted["there already"] == 0
    failed = [s for s in crawled["listed"].values() if s not in ("kept", "same")]
    assert counted["not collected"] == len(failed)
    assert counted["damaged image"] == 1
    assert f"    {crawled['url']}/404.jpg: 404 Not Found" in lines


def test_few_images_are_decoded_at_once(monkeypatch) -> None:
    from scrapy.http import Request, Response

    from outliers_bench.apps.collect import spiders

    inside, most, finish = [0], [0], Event()

    def examine(*_, **__):
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        finish.wait(30)
        inside[0] -= 1
        raise spiders.RefusedPictureError("damaged", "it is")

    monkeypatch.setattr(spiders, "examine", examine)
    monkeypatch.setattr(spiders, "cores", lambda: 64)
    told: list[str] = []
    into = SimpleNamespace(refuse=lambda wanted, status, why, **_: told.append(status))
    options = Collect(into="zoo")
    spider = spiders.Images(todo=[], into=into, options=options, told=lambda: None)
    response = Response("http://a/1.jpg", request=Request("http://a/1.jpg"))
    wanted = Wanted("http://a/1.jpg", "lion")

    async def crawl() -> None:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(16))
        arrivals = [asyncio.ensure_future(spider.arrived(response, wanted)) for _ in range(16)]
        await asyncio.to_thread(until, lambda: inside[0] == 4)
        finish.set()
        await asyncio.gather(*arrivals)

    asyncio.run(crawl())
    assert most == [4]
    assert told == ["damaged"] * 16
