"""Images, next page and license of a web page."""

import pytest

from outliers_bench.apps.collect.page_images import read_page
from outliers_bench.errors import BenchError
from tests.apps.collect.web import QUICK, encoded_photo, read_rows, run_collect
from tests.servers import Reply, serving

URL = "http://zoo.example/animals/lions.html"
BASE = "http://zoo.example/animals/"
pytestmark = pytest.mark.extra("collect")


def image_urls(html: str) -> list[str]:
    return read_page(html, URL).images


@pytest.mark.parametrize(
    ("html", "images"),
    [
        ("<img src=a.jpg><img src='/b.png?x=1#top'>", [f"{BASE}a.jpg", "http://zoo.example/b.png?x=1"]),
        ("<img src=a.jpg><p><img src=a.jpg></p>", [f"{BASE}a.jpg"]),
        ("<img src=//cdn.example/a.jpg>", ["http://cdn.example/a.jpg"]),
        ("<base href=/b/><img src=a.jpg>", ["http://zoo.example/b/a.jpg"]),
        ("<base href=http://cdn.example/x/><img src=a.jpg>", ["http://cdn.example/x/a.jpg"]),
        ("<img src=s.jpg srcset='m.jpg 640w, l.jpg 1280w, s.jpg 320w'>", [f"{BASE}l.jpg"]),
        ("<img src=s.jpg srcset='s.jpg, l.jpg 2x'>", [f"{BASE}l.jpg"]),
        ("<img srcset='/a,w_1,b.jpg 100w,/c,d.jpg 200w'>", ["http://zoo.example/c,d.jpg"]),
        ("<img src=data:image/gif;base64,R0lG data-src=late.jpg>", [f"{BASE}late.jpg"]),
        ("<img src=dot.gif data-srcset='late.jpg 2x'>", [f"{BASE}late.jpg"]),
        ("<img src=data:image/gif;base64,R0lG>", []),
        ("<img><img src=''><img src='javascript:x()'>", []),
        (
            "<picture><source srcset='a.avif 9000w' type=image/avif><source srcset='a.webp 800w' "
            "type=image/webp><img src=a.jpg></picture>",
            [f"{BASE}a.webp"],
        ),
        ("<a href=large.JPG><img src=small.jpg></a>", [f"{BASE}large.JPG"]),
        ("<a href=about.html><img src=a.jpg></a>", [f"{BASE}a.jpg"]),
        # A wiki page about a file has the name of an image.
        ("<a href=/wiki/File:Lion.jpg><img src=lion.jpg></a>", [f"{BASE}lion.jpg"]),
        ("<a href=/wiki/Datei%3AL.jpg><img src=l.jpg></a>", [f"{BASE}l.jpg"]),
        ("<img srcset='s.jpg .75x, m.jpg, l.jpg 1.5x'>", [f"{BASE}l.jpg"]),
        ("<img srcset='s.jpg .75x, m.jpg'>", [f"{BASE}m.jpg"]),
        (f"<img srcset='a.jpg 1x{', ' * 200_000}b.jpg 2x'>", [f"{BASE}b.jpg"]),  # in linear time
        (f"<img srcset='a.jpg {'1' * 1_000_000}'>", [f"{BASE}a.jpg"]),
        ("<a href=photo.png>here</a> <a href=page.html>more</a>", [f"{BASE}photo.png"]),
        ("<noscript><img src=a.jpg></noscript><img data-src=a.jpg>", [f"{BASE}a.jpg"]),
        ("<img src='http://[::1/a.jpg'><img src=b.jpg>", [f"{BASE}b.jpg"]),
        ("", []),
        ("\x00</p>1 < 2 <img src=a.jpg></p", [f"{BASE}a.jpg"]),
    ],
)  # fmt: skip
def test_images(html, images) -> None:
    assert image_urls(html) == images


def test_the_next_page() -> None:
    html = "<a rel='nofollow next' href='?page=2'>next</a><a class=more href=/all.html>all</a>"
    assert read_page(html, URL).next_page == f"{URL}?page=2"
    assert read_page(html, URL, next_selector="a.more").next_page == "http://zoo.example/all.html"
    assert read_page(html, URL, next_selector="a.less").next_page is None
    assert read_page("<link rel=Next href=2.html>", URL).next_page == f"{BASE}2.html"
    assert read_page("<a rel=prev href=0.html>", URL).next_page is None
    with pytest.raises(BenchError, match="is not a CSS selector"):
        read_page(html, URL, next_selector="a[[")


def test_the_license() -> None:
    html = "<a rel='LICENSE nofollow' href=/cc0>CC0</a>"
    assert read_page(html, URL).license == "http://zoo.example/cc0"
    html = "<meta name=DC.Rights content=' CC  BY '>"
    assert read_page(html, URL).license == "CC BY"
    assert read_page("<a rel=licensed href=x>", URL).license == ""


@pytest.mark.slow
def test_the_images_of_successive_pages_are_collected(tmp_path) -> None:
    pages = {
        "/1.html": b"<a rel=license href=/cc0></a><img src=/1.jpg><a rel=next href=2.html>",
        "/2.html": b"<img src=/2.jpg><img src=/1.jpg><a rel=next href=3.html>",
        "/3.html": b"<img src=/3.jpg><a rel=next href=1.html>",
    }

    def answer(request):
        if request.path in pages:
            return Reply(200, pages[request.path], {"Content-Type": "text/html"})
        if request.path.endswith(".jpg"):
            return Reply(200, encoded_photo(int(request.path[1])))
        return Reply(404)

    with serving(answer) as server:
        options = (f"page={server.url}/1.html", "label=lion", "into=zoo", *QUICK)
        first = run_collect(tmp_path, *options, "pages=2")
        assert (first.code, first.err) == (0, "")
        rows = read_rows(tmp_path / "zoo/collected.csv")
        assert {(row["url"], row["page"], row["license"]) for row in rows} == {
            (f"{server.url}/1.jpg", f"{server.url}/1.html", f"{server.url}/cc0"),
            (f"{server.url}/2.jpg", f"{server.url}/2.html", ""),
        }
        assert "/3.html" not in server.paths()
        before = len(server.requests)
        assert run_collect(tmp_path, *options, "pages=9").code == 0  # the pages form a cycle
        requested = [path for path in server.paths()[before:] if path.endswith("jpg")]
        assert requested == ["/3.jpg"]

        def error_message(*arguments: str) -> str:
            done = run_collect(tmp_path, "label=lion", "into=zoo", *QUICK, *arguments)
            assert done.code == 2
            return done.err

        assert "404 Not Found" in error_message(f"page={server.url}/none.html")
        assert "is not a web page" in error_message(f"page={server.url}/1.jpg")
        assert "is not a CSS selector" in error_message(f"page={server.url}/1.html", "next=a[[")
        pages["/1.html"] = b"<p>nothing</p>"
        assert "no images found" in error_message(f"page={server.url}/1.html")
